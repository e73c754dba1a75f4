import type { Fact } from '../world/fact.ts'

const parameters = new URLSearchParams(location.search)

/** What the page's address says. */
export const page = parameters.get('page') ?? ''
export const wire = parameters.get('wire') ?? ''
export const database = parameters.get('database') ?? ''

/** Tells the world at once, in a beacon, which outlives the page; where that is refused, an ordinary request goes. */
export function report(fact: Fact): void {
  const body = JSON.stringify(fact)
  const address = `/facts?${new URLSearchParams({ page })}`
  if (!navigator.sendBeacon(address, body)) void fetch(address, { method: 'POST', body }).catch(() => {})
}

/** Something that must not be, of one session or of the page. */
export const problem = (message: string, session?: string): void =>
  report({ fact: 'problem', message, ...(session === undefined ? undefined : { session }) })
