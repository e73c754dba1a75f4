import type { Middleware } from '../agent/middleware.ts'
import { AgentError, report } from '../errors.ts'
import { type AnyEvent, isChat } from '../events/kinds.ts'
import { redactError } from '../model/redact.ts'
import { toJson } from '../tools/tool-output.ts'
import { callHook, placeOf } from './hooks.ts'
import type { Run } from './run.ts'

/** What tells the middleware an event; absent where none hears them. Nothing waits for it; one that fails ends the run, and hears no more of it. */
export function eventHooks(run: Run): ((event: AnyEvent) => void) | undefined {
  const hearing = run.agent.middleware?.filter(({ onEvent }) => onEvent !== undefined) ?? []
  if (hearing.length === 0) return undefined
  const { lost } = run
  // What they say themselves is for listeners: it would never end.
  const custom = (name: string, data: unknown) => {
    if (!run.signal.aborted && !run.over)
      run.env.bus.publish(run.envelope('custom', { name: String(name), data: toJson(data) }))
  }
  /** Hears no more of this run. */
  const deaf = new Set<Middleware>()
  const failed = (middleware: Middleware, error: unknown) => {
    if (deaf.has(middleware) || !(error instanceof AgentError) || error.code !== 'middleware-failed') return
    deaf.add(middleware)
    if (run.over || run.ending) report(redactError(error, run.secrets))
    else run.end({ kind: 'run-failed', error })
  }
  return (event) => {
    if (isChat(event.kind)) return
    const place = placeOf(run, run.signal.aborted ? lost : run.signal)
    const quiet = { ...place, context: { ...place.context, custom } }
    for (const middleware of hearing) {
      if (deaf.has(middleware)) continue
      try {
        const heard = callHook(quiet, middleware, 'onEvent', [event])
        if (heard instanceof Promise) heard.catch((error) => failed(middleware, error))
      } catch (error) {
        failed(middleware, error)
      }
    }
  }
}
