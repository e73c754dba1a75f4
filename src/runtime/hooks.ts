import type { HookContext, Middleware } from '../agent/middleware.ts'
import { AgentError, messageOf } from '../errors.ts'
import type { Sleep } from '../events/sleep.ts'
import { toJson } from '../tools/tool-output.ts'
import type { Run } from './run.ts'
import { untilAborted } from './until-aborted.ts'

/** Milliseconds that one call of a hook may take, unless its middleware says otherwise. */
const defaultTimeout = 30_000

export type Hook = Exclude<keyof Middleware, 'name' | 'timeout'>

/** What hooks are called for: a run, or an input that is none yet. */
export interface HookPlace {
  readonly middleware: readonly Middleware[]
  readonly sleep: Sleep
  /** Nobody waits for them any more once it aborts. */
  readonly signal: AbortSignal
  readonly context: Omit<HookContext, 'signal'>
}

export function placeOf(run: Run, signal = run.signal): HookPlace {
  const { agent, env, live, record, runId, turn } = run
  const { metadata } = record.request
  const custom = (name: string, data: unknown) => run.emit('custom', { name: String(name), data: toJson(data) })
  const context = { sessionId: live.id, runId, agent: record.agent, turn, custom }
  return {
    middleware: agent.middleware ?? [],
    sleep: env.sleep,
    signal,
    context: metadata === undefined ? context : { ...context, metadata },
  }
}

export const hookFailed = ({ name }: Pick<Middleware, 'name'>, hook: string, problem: unknown) =>
  new AgentError('middleware-failed', `Middleware "${name}" failed in ${hook}: ${messageOf(problem)}`, {
    cause: problem,
  })

const having = ({ middleware }: Pick<HookPlace, 'middleware'>, hook: Hook): readonly Middleware[] => {
  const list = middleware.filter((each) => each[hook] !== undefined)
  return hook.startsWith('after') ? list.reverse() : list
}

/** What a hook gave: its own fields, all of them known. */
type Fields = Readonly<Record<string, unknown>>

export interface Fold<T> {
  readonly hook: Hook
  /** What it starts from. */
  readonly value: T
  /** What each is told, from what those before it made of it. */
  readonly given: (value: T) => readonly unknown[]
  /** Fields that a hook may give. */
  readonly fields: readonly string[]
  /** What these come to; what it throws is the middleware's failure. */
  readonly take: (value: T, fields: Fields, middleware: Middleware) => T | Promise<T>
}

/**
 * Calls a hook of every middleware that has it, in order, `after…` in reverse. Rejects with `middleware-failed` for one that
 * throws, is late, or gives what it may not; with the place's reason once that aborts.
 */
export async function foldHooks<T>(place: HookPlace, { hook, value, given, fields, take }: Fold<T>): Promise<T> {
  let result = value
  for (const middleware of having(place, hook)) {
    const answer = await callHook(place, middleware, hook, given(result))
    if (answer === undefined) continue
    try {
      result = await take(result, fieldsOf(answer, fields), middleware)
    } catch (thrown) {
      place.signal.throwIfAborted()
      throw hookFailed(middleware, hook, thrown)
    }
  }
  return result
}

/** The same for a run: a hook that fails ends it. */
export function foldInRun<T>(run: Run, fold: Fold<T>): Promise<T> {
  return foldHooks(placeOf(run), fold).catch((error) => {
    run.signal.throwIfAborted()
    run.end({ kind: 'run-failed', error })
    throw error
  })
}

/** A fold of hooks that give nothing. */
export const telling = (hook: Hook, ...given: readonly unknown[]): Fold<undefined> => ({
  hook,
  value: undefined,
  given: () => given,
  fields: [],
  take: () => undefined,
})

function fieldsOf(answer: unknown, known: readonly string[]): Fields {
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer))
    throw new TypeError(`it gave ${answer === null ? 'null' : typeof answer}; ${expected(known)}`)
  const fields = { ...answer }
  const unknown = Object.keys(fields).find((key) => !known.includes(key))
  if (unknown !== undefined) throw new TypeError(`it gave "${unknown.slice(0, 100)}"; ${expected(known)}`)
  return fields
}

const expected = (known: readonly string[]) =>
  known.length > 0 ? `give { ${known.join(', ')} }, or nothing` : 'give nothing'

/** A field that is text where it is given at all. */
export function textIn(fields: Fields, name: string): string | undefined {
  const text = fields[name]
  if (text === undefined || typeof text === 'string') return text
  throw new TypeError(`${name} must be a string`)
}

/**
 * One call of a hook. Gives what it gives at once where it is no promise. Throws, or rejects with, `middleware-failed`; with the
 * place's reason once that aborts.
 */
export function callHook(place: HookPlace, middleware: Middleware, hook: Hook, given: readonly unknown[]): unknown {
  const { signal } = place
  signal.throwIfAborted()
  const failed = (thrown: unknown) => {
    signal.throwIfAborted()
    throw hookFailed(middleware, hook, thrown)
  }
  const watch = new Watch(signal)
  const context = Object.defineProperty({ ...place.context }, 'signal', { get: () => watch.signal, enumerable: true })
  try {
    const call = middleware[hook] as (...args: readonly unknown[]) => unknown
    const answer = call.apply(middleware, [...given, context])
    if (!isThenable(answer)) {
      watch.end()
      return answer
    }
    const { timeout = defaultTimeout } = middleware
    place.sleep(timeout, watch.over).then(
      () => watch.abort(new Error(`it did not finish within ${timeout} ms`)),
      () => {},
    )
    return untilAborted(async () => answer, watch.signal)
      .catch(failed)
      .finally(() => watch.end())
  } catch (thrown) {
    watch.end()
    return failed(thrown)
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

/** The signal of one call, made where somebody looks at it: most calls are over at once. */
class Watch {
  readonly #outer: AbortSignal
  readonly #ending = new AbortController()
  #controller: AbortController | undefined

  constructor(outer: AbortSignal) {
    this.#outer = outer
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      const abort = () => this.abort(this.#outer.reason)
      if (this.#outer.aborted) abort()
      else this.#outer.addEventListener('abort', abort, { once: true, signal: this.#ending.signal })
    }
    return this.#controller.signal
  }

  /** Aborts once the call is over. */
  get over(): AbortSignal {
    return this.#ending.signal
  }

  abort(reason: unknown) {
    this.#controller?.abort(reason)
  }

  end() {
    this.#ending.abort()
  }
}
