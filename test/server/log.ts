import type { Protocol } from './turns.ts'

/** A model request as the server saw it. Times are `Date.now()`, so a test on the same machine compares them. */
export interface SeenRequest {
  /** 0 for the script's first one. */
  index: number
  protocol: Protocol
  headers: Record<string, string>
  body: unknown
  at: number
  /** The turn that answers it; missing where the request was refused. */
  turn?: number
  /** Why it got no turn: the script ran out, or the prompt is one that OpenAI refuses. */
  refused?: string
  /** `open`, then how it ended: answered in full, cut by the script, or the client closed the connection before that. */
  state: 'open' | 'answered' | 'cut' | 'closed'
  endedAt?: number
}

export interface Preflight {
  /** Names that the browser asked for, in lower case. */
  headers: string[]
  allowed: boolean
}

export interface ScriptLog {
  requests: SeenRequest[]
  preflights: Preflight[]
  /** Requests that stand at their `holdAt` now. */
  held: number
  /** Counted names, each with its number. */
  counts: Record<string, number>
}

export interface ScriptOptions {
  /** `strict`: only `authorization` and `content-type` may be sent, as behind a strict proxy. Default: `permissive`. */
  cors?: 'permissive' | 'strict'
  /** The last turn answers all further requests. Default: they get a 500 that says that the script ran out. */
  repeatLast?: boolean
  /** Refuse prompts that OpenAI refuses (check-prompt.ts). Default: true. */
  checkPrompt?: boolean
}

/**
 * What to wait for: so many requests seen, so many closed by the client (1 without a number), none open, one held, or a
 * count in all.
 */
export type Until = `requests:${number}` | 'closed' | `closed:${number}` | 'settled' | 'held' | `count:${number}`

/** Whether it is so; throws for words that it does not know. */
export function reached(until: string, log: ScriptLog): boolean {
  const [word, number = '1'] = until.split(':')
  const wanted = Number(number)
  const closed = log.requests.filter(({ state }) => state === 'closed').length
  const counted = Object.values(log.counts).reduce((sum, count) => sum + count, 0)
  if (word === 'requests') return log.requests.length >= wanted
  if (word === 'closed') return closed >= wanted
  if (word === 'settled') return log.requests.length > 0 && log.requests.every(({ state }) => state !== 'open')
  if (word === 'held') return log.held >= wanted
  if (word === 'count') return counted >= wanted
  throw new Error(`Cannot wait until ${until}: use requests:N, closed, closed:N, settled, held or count:N`)
}
