import type { ScriptLog, ScriptOptions, SeenRequest, Until } from './log.ts'
import type { Turn } from './turns.ts'

/** A scripted conversation on the test server. */
export interface ScriptHandle {
  readonly key: string
  /** For `createOpenAI({ baseURL })`. */
  readonly baseURL: string
  log(): Promise<ScriptLog>
  requests(): Promise<SeenRequest[]>
  /** The log once it is so; rejects, telling what was seen, after `timeout` (at most 10,000 ms, the default). */
  waitFor(until: Until, timeout?: number): Promise<ScriptLog>
  /** Lets every stream go on that stands at its `holdAt`. */
  release(): Promise<void>
  add(...turns: Turn[]): Promise<void>
  /** Counts a start, for instance of a tool; `countURL(name)` for those who can only fetch. */
  count(name: string): Promise<void>
  countURL(name: string): string
  counts(): Promise<Record<string, number>>
}

/** The test server's side door, from a browser or Node. */
export function serverAt(origin: string) {
  return {
    async script(turns: Turn[], options: ScriptOptions & { key?: string } = {}): Promise<ScriptHandle> {
      const { key = crypto.randomUUID(), ...rest } = options
      const { baseURL } = await post<{ baseURL: string }>(`${origin}/control/script`, { key, turns, ...rest })
      return handle(origin, key, baseURL)
    },
    /** A script that was registered elsewhere, for instance before a reload. */
    known: (key: string): ScriptHandle => handle(origin, key, `${origin}/s/${encodeURIComponent(key)}/v1`),
    /** A base URL on a port where nobody listens. */
    async refusedBaseURL(): Promise<string> {
      const refused = await get<{ origin: string }>(`${origin}/control/refused`)
      return `${refused.origin}/v1`
    },
  }
}

function handle(origin: string, key: string, baseURL: string): ScriptHandle {
  const url = (verb: string) => `${origin}/control/${verb}/${encodeURIComponent(key)}`
  const countURL = (name: string) => `${url('count')}?name=${encodeURIComponent(name)}`
  const log = () => get<ScriptLog>(url('log'))
  return {
    key,
    baseURL,
    log,
    requests: async () => (await log()).requests,
    async waitFor(until, timeout = 10_000) {
      const query = `until=${encodeURIComponent(until)}&timeout=${timeout}`
      const answer = await get<{ reached: boolean; log: ScriptLog }>(`${url('wait')}?${query}`)
      if (answer.reached) return answer.log
      const seen = answer.log.requests.map(({ state, refused }) => refused ?? state).join(', ') || 'no request'
      throw new Error(
        `Not "${until}" within ${timeout} ms; seen: ${seen}; counts: ${JSON.stringify(answer.log.counts)}`,
      )
    },
    release: () => post(url('release'), undefined),
    add: (...turns) => post(url('turns'), turns),
    count: (name) => post(countURL(name), undefined),
    countURL,
    counts: () => get(url('count')),
  }
}

const get = <T>(url: string): Promise<T> => fetch(url, { cache: 'no-store' }).then((response) => read<T>(response))

// Without a content type that needs a preflight.
const post = <T>(url: string, body: unknown): Promise<T> =>
  fetch(url, { method: 'POST', body: body === undefined ? null : JSON.stringify(body) }).then((response) =>
    read<T>(response),
  )

async function read<T>(response: Response): Promise<T> {
  const text = await response.text()
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${text}`)
  return JSON.parse(text) as T
}
