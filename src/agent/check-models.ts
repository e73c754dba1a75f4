import { AgentError } from '../errors.ts'
import type { AgentDefinition } from './define-agent.ts'

type Definition = Pick<AgentDefinition, 'name' | 'fallbacks' | 'retry' | 'onModelError' | 'offline'>

/** Refuses what an agent can't do when its model fails. */
export function checkModels({ name, fallbacks = [], retry = {}, onModelError, offline }: Definition) {
  const refuse = (problem: string) => new AgentError('invalid-argument', `Agent "${name}": ${problem}.`)
  if (!Array.isArray(fallbacks) || !fallbacks.every(Boolean)) throw refuse('fallbacks must be a list of models')
  for (const [option, value] of Object.entries(retry)) {
    const least = option === 'attempts' ? 1 : 0
    if (!(typeof value === 'number' && value >= least)) throw refuse(`retry.${option} must be ${least} or more`)
  }
  if (onModelError !== undefined && typeof onModelError !== 'function') throw refuse('onModelError must be a function')
  if (offline !== undefined && offline !== 'wait' && offline !== 'fail')
    throw refuse("offline must be 'wait' or 'fail'")
}
