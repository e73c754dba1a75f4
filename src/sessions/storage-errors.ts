import { AgentError } from '../errors.ts'
import { unavailable } from './ownership.ts'

// What IndexedDB throws, and what that is to a store's caller.

const reload = 'reload the page'

export const lostError = (name: string) =>
  new AgentError('storage-lost', `The database ${JSON.stringify(name)} was deleted under this page: ${reload}`)

export const outdatedError = (name: string, cause?: unknown) =>
  new AgentError(
    'storage-outdated',
    `A newer version of turnloop wrote the database ${JSON.stringify(name)}: ${reload}`,
    {
      ...(cause !== undefined && { cause }),
    },
  )

export const notRestoredError = (cause: unknown) =>
  new AgentError('storage-unavailable', `The connection to IndexedDB was lost and could not be restored: ${reload}`, {
    cause,
  })

/** What ended a transaction was none of its own doing; whether it was committed is unknown. */
export class LostConnection extends Error {
  readonly db: IDBDatabase
  constructor(db: IDBDatabase, cause: unknown) {
    super('Lost connection', { cause })
    this.db = db
  }
}

/** Of the values and keys that were to be stored. */
const mistakes = ['DataCloneError', 'DataError']

export const isNamed = (error: unknown, ...names: string[]) =>
  error instanceof DOMException && names.includes(error.name)

/** Trying again changes nothing. */
export const isFinal = (error: unknown) =>
  error instanceof AgentError || isNamed(error, 'QuotaExceededError', 'VersionError')

/** The transaction's own doing, or the browser's final word. One that ended for no such reason gives an AbortError, an UnknownError or null. */
export const isOwn = (error: unknown): error is Error =>
  error instanceof Error && (!(error instanceof DOMException) || isFinal(error) || isNamed(error, ...mistakes))

export function toStorageError(error: unknown, name: string): unknown {
  if (error instanceof AgentError || isNamed(error, ...mistakes)) return error
  if (isNamed(error, 'QuotaExceededError')) {
    return new AgentError(
      'storage-full',
      'The browser has no more room for this site: delete sessions, or free disk space',
      { cause: error },
    )
  }
  if (isNamed(error, 'VersionError')) return outdatedError(name, error)
  if (error instanceof LostConnection) return notRestoredError(error.cause)
  return unavailable(`IndexedDB could not be opened (${error instanceof Error ? error.message : String(error)})`, error)
}
