import { AgentError } from '../errors.ts'
import { priceOf } from '../model/pricing.ts'
import type { LimitName, Limits } from '../sessions/records.ts'
import type { AgentDefinition, Amount, Model } from './define-agent.ts'

const limitNames: { readonly [L in keyof Required<Limits>]: true } = {
  maxTurns: true,
  maxToolCalls: true,
  maxTokens: true,
  maxCost: true,
  maxDuration: true,
  toolTimeout: true,
  maxToolOutput: true,
  maxInput: true,
  maxFileSize: true,
  maxFiles: true,
}

type Definition = Pick<AgentDefinition, 'name' | 'model' | 'fallbacks' | 'limits' | 'onLimit' | 'prices' | 'budget'>

const refuse = (problem: string) => new AgentError('invalid-argument', problem)

/** Refuses limits that nobody could keep; `where` they stand begins the message. */
export function checkLimits(limits: Limits = {}, where = ''): void {
  for (const [name, value] of Object.entries(limits)) {
    if (!Object.hasOwn(limitNames, name))
      throw refuse(`${where}limits.${name} is unknown: the limits are ${Object.keys(limitNames).join(', ')}.`)
    if (value === undefined) continue
    const isCost = name === ('maxCost' satisfies LimitName)
    if (!(typeof value === 'number' && (isCost ? value > 0 : value >= 1)))
      throw refuse(`${where}limits.${name} must be a number ${isCost ? 'above 0' : 'of 1 or more'}.`)
  }
}

/** The same for what an agent may use up and what its models cost. A limit of cost needs a price for each model that is known here. */
export function checkSpending({
  name,
  model,
  fallbacks = [],
  limits,
  onLimit = 'stop',
  prices,
  budget,
}: Definition): void {
  const where = `Agent "${name}": `
  checkLimits(limits, where)
  if (onLimit !== 'stop' && onLimit !== 'ask') throw refuse(`${where}onLimit must be 'stop' or 'ask'.`)
  for (const [id, price] of Object.entries(prices ?? {})) {
    const amounts = [price?.input, price?.output, price?.cachedInput ?? 0]
    if (!amounts.every((amount) => typeof amount === 'number' && amount >= 0 && amount < Number.POSITIVE_INFINITY))
      throw refuse(`${where}prices["${id}"] needs \`input\` and \`output\`, numbers per million tokens.`)
  }
  for (const [scope, amount] of Object.entries(budget ?? {}) as [string, Amount | undefined][]) {
    for (const [unit, value] of Object.entries(amount ?? {})) {
      const known = ['perSession', 'perDay'].includes(scope) && ['tokens', 'cost'].includes(unit)
      if (!known || !(value === undefined || (typeof value === 'number' && value > 0)))
        throw refuse(`${where}budget is { perSession, perDay }, each with \`tokens\` or \`cost\` above 0.`)
    }
  }
  if (!isCostLimited({ limits, budget })) return
  for (const candidate of [model, ...fallbacks]) checkPrice(name, prices, candidate)
}

export const isCostLimited = ({ limits, budget }: Pick<AgentDefinition, 'limits' | 'budget'>): boolean =>
  [limits?.maxCost, budget?.perSession?.cost, budget?.perDay?.cost].some((cap) => cap !== undefined)

/** Refuses a model of which is known that it has no price. One that a function makes shows itself when it is asked. */
export function checkPrice(
  agent: string,
  prices: AgentDefinition['prices'],
  model: Model | string,
  models?: Readonly<Record<string, Model>>,
): void {
  const named = typeof model === 'string' ? model : undefined
  const known = named !== undefined && models && Object.hasOwn(models, named) ? models[named] : model
  const id = typeof known === 'object' ? known.modelId : undefined
  const some = Object.keys(prices ?? {}).length > 0
  if (priceOf(prices, named, id) || (some && id === undefined && (models === undefined || typeof known === 'function')))
    return
  throw refuse(
    `Agent "${agent}": its cost is limited, and its model ${named ?? id ?? ''} has no price. Give it \`prices: { '${named ?? id ?? 'model-id'}': { input, output } }\`, per million tokens.`,
  )
}
