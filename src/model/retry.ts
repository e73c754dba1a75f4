import type { RetryOptions } from '../agent/define-agent.ts'
import type { AgentError, AgentErrorCode } from '../errors.ts'

const defaults = {
  attempts: 3,
  baseDelay: 1000,
  maxDelay: 30_000,
  maxRetryAfter: 60_000,
} satisfies RetryOptions

/** What the model, its endpoint or the connection to it comes to: another model may do better. */
const ofModel: ReadonlySet<AgentErrorCode> = new Set([
  'rate-limited',
  'overloaded',
  'bad-request',
  'unreachable',
  'model-timeout',
  'model-interrupted',
  'model-failed',
])

/** Whether another model may do better; it can't where the code is at fault, or the credentials are. */
export const isOfModel = ({ code }: AgentError) => ofModel.has(code)

/** Whether the same model may answer the same prompt when it is asked again. What was refused as wrong stays wrong. */
export const isRetried = (error: AgentError) => error.recoverable && isOfModel(error) && error.code !== 'bad-request'

/** Whether the connection failed, be it before the answer or in the midst of it: so it does where there is no network. */
export const isOfConnection = ({ code }: AgentError) => code === 'unreachable' || code === 'model-interrupted'

/**
 * Milliseconds to wait before the model is asked again, `attempt` being the one that failed, from 1; `undefined` where it
 * is not to be asked again. As long as the endpoint says, else exponentially longer, at random: so those who failed
 * together don't come back together.
 */
export function delayBefore(
  { retryAfter = 0 }: AgentError,
  attempt: number,
  options: RetryOptions = {},
  random: () => number = Math.random,
): number | undefined {
  const { attempts, baseDelay, maxDelay, maxRetryAfter } = { ...defaults, ...options }
  if (attempt >= attempts || retryAfter > maxRetryAfter) return undefined
  return retryAfter > 0 ? retryAfter : Math.round(random() * Math.min(maxDelay, baseDelay * 2 ** (attempt - 1)))
}

/** Milliseconds from `now` (Unix time) after which a response wants to be asked for again: by a number, or an HTTP date. */
export function retryAfterOf(headers: Readonly<Record<string, string>>, now: number): number | undefined {
  const exact = Number.parseFloat(headers['retry-after-ms'] ?? '')
  const words = headers['retry-after'] ?? ''
  const seconds = Number(words || Number.NaN)
  const candidates = [exact, seconds * 1000, Date.parse(words) - now]
  const wait = candidates.find((ms) => !Number.isNaN(ms))
  return wait === undefined ? undefined : Math.max(0, Math.ceil(wait))
}
