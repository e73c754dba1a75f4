import type { Preflight, ScriptLog, ScriptOptions, SeenRequest } from './log.ts'
import { reached } from './log.ts'
import type { Turn } from './turns.ts'

/** One scripted conversation: its turns, and what was seen of it. */
export class Script {
  readonly key: string
  readonly options: ScriptOptions
  readonly turns: Turn[]
  readonly requests: SeenRequest[] = []
  readonly preflights: Preflight[] = []
  readonly #counts = new Map<string, number>()
  readonly #held = new Set<() => void>()
  readonly #watchers = new Set<() => void>()
  #taken = 0

  constructor(key: string, turns: Turn[], options: ScriptOptions) {
    this.key = key
    this.turns = turns
    this.options = options
  }

  log(): ScriptLog {
    const { requests, preflights } = this
    return { requests, preflights, held: this.#held.size, counts: Object.fromEntries(this.#counts) }
  }

  see(request: Pick<SeenRequest, 'protocol' | 'headers' | 'body'>): SeenRequest {
    const seen: SeenRequest = { index: this.requests.length, ...request, at: Date.now(), state: 'open' }
    this.requests.push(seen)
    this.#changed()
    return seen
  }

  /** The next turn and its number, or undefined when the script ran out. */
  take(): { turn: Turn; number: number } | undefined {
    const number = this.options.repeatLast ? Math.min(this.#taken, this.turns.length - 1) : this.#taken
    const turn = this.turns[number]
    if (!turn) return undefined
    this.#taken++
    return { turn, number }
  }

  end(seen: SeenRequest, state: SeenRequest['state']): void {
    if (seen.state !== 'open') return
    seen.state = state
    seen.endedAt = Date.now()
    this.#changed()
  }

  count(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
    this.#changed()
  }

  /** Settles on `release()` or when the signal aborts. */
  hold(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const go = () => {
        this.#held.delete(go)
        this.#changed()
        resolve()
      }
      this.#held.add(go)
      signal.addEventListener('abort', go, { once: true })
      this.#changed()
    })
  }

  release(): void {
    for (const go of [...this.#held]) go()
  }

  /** Whether `until` came true within so many milliseconds. */
  wait(until: string, timeout: number): Promise<boolean> {
    if (reached(until, this.log())) return Promise.resolve(true)
    return new Promise((resolve) => {
      const settle = (result: boolean) => {
        clearTimeout(timer)
        this.#watchers.delete(look)
        resolve(result)
      }
      const look = () => {
        if (reached(until, this.log())) settle(true)
      }
      const timer = setTimeout(() => settle(false), timeout)
      this.#watchers.add(look)
    })
  }

  #changed(): void {
    for (const look of [...this.#watchers]) look()
  }
}
