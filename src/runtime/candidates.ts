import type { Model } from '../agent/define-agent.ts'
import { namedModel } from '../model/resolve-model.ts'
import type { SwitchRecord } from '../sessions/records.ts'
import type { Run } from './run.ts'

/** A model that may be asked. */
export interface Candidate {
  readonly reference: Model | string
  /** As events call it, until it is known better: a model function says nothing of what it makes. */
  readonly label: string
}

/** The models of a run, in the order in which they are asked. */
export interface Candidates {
  readonly first: Candidate
  /** How the first one came to be asked, where another had been chosen. */
  readonly switched?: SwitchRecord | undefined
  /** Take over one after the other; each comes with what the run's record is to say then. */
  readonly fallbacks: readonly (Candidate & { readonly switched: SwitchRecord })[]
}

/**
 * The run's models as they stand now: the one that was chosen for it, or the one that has taken its place meanwhile, then
 * the agent's fallbacks whose turn has not come yet. A choice that was made since a model took over is made anew.
 */
export async function candidatesOf(run: Run): Promise<Candidates> {
  const { agent, env, record } = run
  if (env.model) return { first: candidate(env.model, 'model'), fallbacks: [] }
  const { modelAt = 0 } = (await settingsOf(run)) ?? {}
  const chosen = (await chosenName(run)) ?? agent.model
  const switched = record.switched && record.switched.at >= modelAt ? record.switched : undefined
  const { fallbacks = [] } = agent
  const passed = switched?.fallbacks ?? 0
  const taken = switched && (run.switchedTo ?? switched.to)
  const last = fallbacks[passed - 1]
  const first =
    taken !== undefined
      ? candidate(taken, 'switchTo')
      : last === undefined
        ? candidate(chosen, 'model')
        : candidate(last, `fallbacks[${passed - 1}]`)
  return {
    first,
    switched,
    fallbacks: fallbacks.slice(passed).map((reference, at) => ({
      ...candidate(reference, `fallbacks[${passed + at}]`),
      switched: { at: env.now(), fallbacks: passed + at + 1 },
    })),
  }
}

/** The name of the model that somebody chose for the run or its session; what was said last counts. */
export async function chosenName(run: Run): Promise<string | undefined> {
  const { request, startedAt } = run.record
  const { model, modelAt = 0 } = (await settingsOf(run)) ?? {}
  return modelAt > startedAt ? model : (request.model ?? model ?? request.defaultModel)
}

const settingsOf = ({ env, live }: Run) => live.settings.current(() => env.store.readSettings(live.id))

/** A model that `onModelError` gave. Throws `unknown-model`. */
export function switchTarget({ env }: Run, reference: Model | string): Candidate {
  if (typeof reference === 'string') namedModel(reference, env.models)
  return candidate(reference, 'switchTo')
}

const candidate = (reference: Model | string, path: string): Candidate => ({
  reference,
  label:
    typeof reference === 'string'
      ? reference
      : typeof reference === 'function'
        ? path
        : `${reference.provider}:${reference.modelId}`,
})
