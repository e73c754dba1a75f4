import type { LanguageModelV4 } from '@ai-sdk/provider'
import type { Model } from '../agent/define-agent.ts'
import { AgentError, messageOf } from '../errors.ts'
import { redact } from './redact.ts'

/** `createRuntime`'s `models`. */
export type Models = Readonly<Record<string, Model>>

/** The named model's entry; `unknown-model` lists the names there are. */
export function namedModel(name: string, models: Models): Model {
  const model = Object.hasOwn(models, name) ? models[name] : undefined
  if (model) return model
  const known = Object.keys(models).join(', ')
  throw new AgentError(
    'unknown-model',
    `There is no model "${name}". ${known ? `The models are: ${known}.` : 'Name it in createRuntime(agents, { models }).'}`,
  )
}

/** The model itself, of the specification that turnloop speaks. */
export async function resolveModel(
  reference: Model | string,
  models: Models,
  credentials: unknown,
): Promise<LanguageModelV4> {
  const entry = typeof reference === 'string' ? namedModel(reference, models) : reference
  const model = typeof entry === 'function' ? await callModelFunction(entry, credentials) : entry
  checkSpecification(model)
  return model
}

async function callModelFunction(make: Extract<Model, (...args: never[]) => unknown>, credentials: unknown) {
  try {
    return await make({ credentials })
  } catch (error) {
    if (isOfNetwork(error)) throw error
    throw error instanceof AgentError ? error : new AgentError('model-failed', redact(messageOf(error), credentials))
  }
}

/** Browsers tell of a chunk or a token that can't be fetched with a bare TypeError; so does a mistake, in other words. */
const isOfNetwork = (error: unknown) => error instanceof TypeError && /fetch|import|load/i.test(error.message)

export function checkSpecification(model: unknown): asserts model is LanguageModelV4 {
  const version =
    typeof model === 'object' && model !== null && 'specificationVersion' in model
      ? model.specificationVersion
      : undefined
  if (version === 'v4') return
  throw new AgentError(
    'unsupported-model',
    version === 'v2' || version === 'v3'
      ? `This model follows the AI SDK's specification ${version}; turnloop needs v4. Update its provider package to the one for AI SDK 7, for example @ai-sdk/openai@4.`
      : 'This is no language model of the AI SDK (v4). Pass a model such as openai("gpt-5-mini"), a function that returns one, or a name from `models`.',
  )
}
