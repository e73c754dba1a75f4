import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import type { Model, Price } from '../agent/define-agent.ts'
import { estimateJson, estimateText } from '../context/estimate-tokens.ts'
import { AgentError } from '../errors.ts'
import { isEnd } from '../events/kinds.ts'
import type { Answer } from '../model/answer.ts'
import { costOf, priceOf } from '../model/pricing.ts'
import {
  addUsage,
  type DraftRecord,
  isUsed,
  noUsage,
  type PartRecord,
  type TreeSpend,
  type Usage,
} from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { contextFields } from './context-state.ts'
import { limitsCost } from './limits.ts'
import type { Run } from './run.ts'

/** One call of a model, as it is booked. */
export interface Booking {
  readonly usage: Usage
  /** Absent where its model has no price. */
  readonly cost?: number
  /** The provider did not say what was used. */
  readonly estimated?: boolean
}

/** What the calls of a run or of a session came to so far. */
interface Spent {
  readonly usage: Usage
  readonly cost?: number
  readonly unpriced?: boolean
}

/** What a run has used so far, once it has used anything. */
export const knownUsage = (spent: Spent) =>
  isUsed(spent.usage) ? { usage: spent.usage, ...knownCost(spent) } : undefined

/** The cost as people are told it: none where a call had no price, and none where nothing was called yet. */
export const knownCost = ({ cost, unpriced }: Omit<Spent, 'usage'>) =>
  unpriced || cost === undefined ? undefined : { cost }

/** What a call comes to: as the provider reports it, by estimate where it does not; nothing where it was never asked. */
export function bookingOf({ usage, reported, asked, parts, price }: Answer): Booking {
  if (usage) return priced({ usage }, price)
  if (asked === undefined) return { usage: noUsage }
  const estimate = {
    inputTokens: reported?.inputTokens ?? asked,
    outputTokens: reported?.outputTokens ?? estimateParts(parts),
    cachedInputTokens: reported?.cachedInputTokens ?? 0,
    reasoningTokens: reported?.reasoningTokens ?? 0,
  }
  return priced({ usage: estimate, estimated: true }, price)
}

const priced = (booking: Booking, price: Price | undefined): Booking =>
  price ? { ...booking, cost: costOf(booking.usage, price) } : booking

/** Asks the model with so many tokens: should nobody hear its provider's word on them, they are booked all the same. */
export async function openStream(
  answer: Answer,
  model: LanguageModelV4,
  options: LanguageModelV4CallOptions,
  tokens: number,
): Promise<ReadableStream<LanguageModelV4StreamPart>> {
  answer.model = model.modelId
  answer.asked = Math.round(tokens)
  try {
    return (await model.doStream(options)).stream
  } catch (error) {
    // Who refuses a call doesn't charge for it; one that was given up may have been answered all the same.
    if (!options.abortSignal?.aborted) answer.asked = undefined
    throw error
  }
}

const estimateParts = (parts: readonly PartRecord[]) =>
  parts.reduce((sum, part) => {
    if (part.type === 'tool-call') return sum + estimateJson(part.input)
    return 'text' in part ? sum + estimateText(part.text) : sum
  }, 0)

/** A call whose owner died: by what was known of it then. */
export const bookingOfDraft = ({ usage, cost }: DraftRecord): Booking | undefined =>
  usage && { usage, ...(cost === undefined ? undefined : { cost }), estimated: true }

/** Books a call, with the run, the session and the day, in one commit. `turns` that it completes. */
export function usageStep(run: Run, booking: Booking, turns = 0): Step & Required<Pick<Step, 'events' | 'run'>> {
  const { usage, cost, estimated } = booking
  const ofRun = plus(run.record, booking)
  const ofSession = plus(run.session, booking)
  const event = {
    kind: 'usage-recorded' as const,
    usage,
    run: ofRun.usage,
    session: ofSession.usage,
    ...(cost === undefined ? undefined : { cost }),
    ...renamed('runCost', knownCost(ofRun)),
    ...renamed('sessionCost', knownCost(ofSession)),
    ...(estimated ? { estimated } : undefined),
  }
  return {
    events: [event],
    run: { ...ofRun, turns: run.record.turns + turns },
    session: ofSession,
    ...(isUsed(usage)
      ? { spend: { day: dayOf(run.env.now()), usage, cost: cost ?? 0 }, ...upwardOf(run, booking) }
      : undefined),
  }
}

/** What counts for the runs above, too. */
function upwardOf({ record: { ancestors = [] } }: Run, { usage, cost }: Booking): Pick<Step, 'upward'> {
  if (ancestors.length === 0) return {}
  const runIds = ancestors.map(({ runId }) => runId)
  return { upward: { runIds, usage, ...(cost === undefined ? { unpriced: true } : { cost }) } }
}

/** What the runs below have used `since` that was last counted: for the run and its session, not for the day, which has it. */
export function countedStep(run: Run, counted: TreeSpend, since: TreeSpend): Step {
  if (!isUsed(since.usage)) return {}
  const { usage, cost, unpriced } = since
  const { events } = usageStep(run, unpriced || cost === undefined ? { usage } : { usage, cost })
  return { events: events.map((event) => ({ ...event, below: true as const })), run: { counted } }
}

/**
 * The step with the sums as they are once it is committed: since it was made, another one may have booked what runs below have
 * used.
 */
export function summedUp({ record, session }: Pick<Run, 'record' | 'session'>, step: Step): Step {
  const { events = [] } = step
  if (!events.some(({ kind }) => kind === 'usage-recorded' || isEnd(kind))) return step
  let ofRun: Spent = spentOf(record)
  let ofSession: Spent = spentOf(session)
  const told = events.map((event) => {
    if (event.kind === 'usage-recorded') {
      ofRun = plus(ofRun, event)
      ofSession = plus(ofSession, event)
      const { runCost: _, sessionCost: __, ...booked } = event
      return {
        ...booked,
        run: ofRun.usage,
        session: ofSession.usage,
        ...renamed('runCost', knownCost(ofRun)),
        ...renamed('sessionCost', knownCost(ofSession)),
      }
    }
    if (!isEnd(event.kind)) return event
    const { cost: ___, ...end } = event as Extract<typeof event, { turns: number }>
    return { ...end, usage: ofRun.usage, ...knownCost(ofRun) }
  }) as typeof events
  return { ...step, events: told, run: { ...step.run, ...ofRun }, session: { ...step.session, ...ofSession } }
}

const spentOf = ({ usage, cost, unpriced }: Spent): Spent => ({
  usage,
  ...(cost === undefined ? undefined : { cost }),
  ...(unpriced ? { unpriced } : undefined),
})

/** An answer that is kept, whole or in part: it completes its turn. */
export function answerStep(run: Run, answer: Answer) {
  const { session, events, ...step } = usageStep(run, bookingOf(answer), 1)
  const context = contextFields(run, answer)
  const { contextTokens } = context
  return {
    ...step,
    events: events.map((event) => ({ ...event, ...(contextTokens === undefined ? undefined : { contextTokens }) })),
    session: { ...session, ...context, ...taintBy(run, answer) },
  }
}

/** Content from outside that the provider's own tools brought. */
function taintBy({ env }: Run, { parts }: Answer) {
  const found = parts.find((part) => part.type === 'tool-result' && part.untrusted)
  return found?.type === 'tool-result' ? { tainted: { at: env.now(), toolName: found.toolName } } : undefined
}

/** A call that is no turn, as far as it used anything. */
function callStep(run: Run, answer: Answer): Step {
  const booking = bookingOf(answer)
  return isUsed(booking.usage) ? usageStep(run, booking) : {}
}

/** A summary, or an attempt at an answer of which nothing is kept. What there is of it in a draft is not booked once more. */
export function droppedStep(run: Run, answer: Answer): Step {
  const step = callStep(run, answer)
  return { ...step, run: { ...step.run, booked: answer.messageId } }
}

const renamed = <N extends string>(name: N, known: { readonly cost: number } | undefined) =>
  (known ? { [name]: known.cost } : undefined) as { readonly [K in N]?: number } | undefined

function plus(before: Spent, { usage, cost }: Booking): Spent {
  const unpriced =
    before.unpriced || (cost === undefined && isUsed(usage)) || (before.cost === undefined && isUsed(before.usage))
  const sum = cost === undefined ? before.cost : (before.cost ?? 0) + cost
  return {
    usage: addUsage(before.usage, usage),
    ...(sum === undefined ? undefined : { cost: sum }),
    ...(unpriced ? { unpriced } : undefined),
  }
}

/** A UTC date, `YYYY-MM-DD`. */
export const dayOf = (time: number) => new Date(time).toISOString().slice(0, 10)

/**
 * What a model's tokens cost: by the name that it was asked for, else by its id. In tests a model that takes another one's
 * place has that one's price. Throws `unknown-price` where a limit of cost holds, which nobody could keep.
 */
export function priceFor(run: Run, reference: Model | string, model: LanguageModelV4): Price | undefined {
  const { agent, env } = run
  const replaced = env.model ? (run.record.request.model ?? agent.model) : undefined
  const price = priceOf(agent.prices, nameOf(reference), model.modelId, nameOf(replaced), idOf(replaced))
  if (price || !limitsCost(run)) return price
  throw new AgentError(
    'unknown-price',
    `The model "${model.modelId}" has no price, and its cost is limited: add it to the agent's \`prices\`, or take the limit away.`,
  )
}

const nameOf = (reference: Model | string | undefined) => (typeof reference === 'string' ? reference : undefined)
const idOf = (reference: Model | string | undefined) => (typeof reference === 'object' ? reference.modelId : undefined)
