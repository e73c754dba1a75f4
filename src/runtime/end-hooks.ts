import type { RunEndHook } from '../agent/middleware.ts'
import { AgentError, report, toAgentError } from '../errors.ts'
import { redactError } from '../model/redact.ts'
import type { RunRecord, RunStatus, Usage } from '../sessions/records.ts'
import { foldHooks, foldInRun, type Hook, placeOf, telling } from './hooks.ts'
import type { End, Run } from './run.ts'
import { errorTexts } from './texts.ts'

/** Tells the middleware what an attempt of a model or a tool failed with; the end of the run does not tell it again. */
export async function tellError(run: Run, error: AgentError): Promise<void> {
  run.toldErrors.add(error)
  await foldInRun(run, telling('onError', error)).catch((failed) => {
    // Who fails on failures hears no more of it.
    run.toldErrors.add(failed)
    throw failed
  })
}

/**
 * Tells the middleware how the run is to end, and gives how it ends: as failed where one of them fails. One that is cancelled
 * waits for nobody.
 */
export async function tellEnd(run: Run, given: End, { usage }: Pick<RunRecord, 'usage'> = run.record): Promise<End> {
  const { toldEnd } = run
  if (toldEnd?.given === given) return toldEnd.end
  const end = withTexts(run, given)
  if (end.kind === 'run-cancelled') return end
  const told = await hearEnd(run, end, usage)
  run.toldEnd = { given, end: told }
  return told
}

/** Once a cancelled run has ended. */
export function tellCancelled(run: Run, end: End): void {
  if (end.kind !== 'run-cancelled') return
  tell(run, 'onRunEnd', endOf(end, run.record.usage)).catch((error) =>
    report(redactError(toAgentError(error), run.secrets)),
  )
}

async function hearEnd(run: Run, end: End, usage: Usage): Promise<End> {
  let heard = end
  const tried = (hook: Hook, about: unknown) =>
    tell(run, hook, about).catch((thrown) => {
      run.lost.throwIfAborted()
      heard = { kind: 'run-failed', error: errorTexts(on(thrown, end), run.onText) }
    })
  if (end.kind === 'run-failed' && !run.toldErrors.has(end.error)) await tried('onError', end.error)
  await tried('onRunEnd', endOf(heard, usage))
  return heard
}

/** A run that ends has aborted its signal: its hooks go on until nothing can be written any more. */
const tell = (run: Run, hook: Hook, about: unknown) => foldHooks(placeOf(run, run.lost), telling(hook, about))

const on = (failed: AgentError, end: End) =>
  end.kind === 'run-failed' ? new AgentError(failed.code, `${failed.message} (on: ${end.error.message})`) : failed

function endOf(end: End, usage: Usage): RunEndHook {
  const status = end.kind.slice('run-'.length) as Extract<RunStatus, RunEndHook['status']>
  return {
    status,
    usage,
    ...('reason' in end ? { reason: end.reason } : undefined),
    ...('error' in end && end.error ? { error: end.error } : undefined),
  }
}

const withTexts = ({ onText }: Run, end: End): End =>
  'error' in end && end.error ? { ...end, error: errorTexts(end.error, onText) } : end
