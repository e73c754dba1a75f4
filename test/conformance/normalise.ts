import type { Trace } from './case.ts'

// What differs between the AI SDK and turnloop by design: all of it, and nothing else is forgiven. The two traces are
// brought to one form, and then compared whole.

/**
 * Always:
 *
 * - **Fields that are undefined** are the same as none. A provider can't tell them apart.
 * - **`abortSignal` and `includeRawChunks`** of a call are not compared: the one is an object of each side's own, the
 *   other an option of `streamText` that turnloop doesn't have.
 * - **The header `user-agent`**, which the AI SDK adds, is not compared: turnloop adds none, for it makes browsers ask a
 *   strict proxy in vain.
 * - **Inputs of calls in prompts** are compared as JSON: the AI SDK keeps what a schema made of them (a `Date`), turnloop
 *   what can be stored. Providers send JSON.
 * - **Messages** are compared by role and parts. Ids are each side's own; metadata is turnloop's own.
 * - **One message per turn** here, one per answer there: neighbours of one role are joined, and the `step-start` parts
 *   that part turns in the AI SDK's messages are dropped.
 * - **`id` of a reasoning part**, the provider's name for it within its stream, is not kept by turnloop: it means nothing
 *   afterwards.
 * - **The words for a refused call** (unknown tool, invalid input) are turnloop's own, shorter, and don't repeat the input.
 *   Compared is what is refused and why: `no such tool` or `invalid input`, with the tool's name.
 * - **A refused call** is shown as `dynamic-tool` always. The AI SDK shows some as the tool's own part, although their
 *   input is not what that part's type says.
 */
export function normalise({ calls, messages, executions, outputs }: Trace) {
  return plain({
    calls: calls.map(({ abortSignal, includeRawChunks, headers, prompt, ...call }) => ({
      ...call,
      headers: withoutUserAgent(headers),
      prompt: prompt.map((message) => (Array.isArray(message.content) ? { ...message, content: message.content.map(promptPart) } : message)),
    })),
    messages: joined(messages.map(({ role, parts }) => ({ role, parts: parts.flatMap(shownPart) }))),
    executions,
    outputs,
  })
}

function withoutUserAgent(headers: Trace['calls'][number]['headers'] = {}) {
  const { 'user-agent': _, ...others } = headers
  return others
}

function promptPart(part: object) {
  if ('type' in part && part.type === 'tool-call' && 'input' in part) return { ...part, input: JSON.parse(JSON.stringify(part.input ?? null)) }
  if ('output' in part) return { ...part, output: refusal(part.output, 'value') }
  return part
}

function shownPart(part: object): object[] {
  const { type } = part as { type: string }
  if (type === 'step-start') return []
  if (type === 'reasoning') return [{ ...part, id: undefined }]
  if (!('errorText' in part) || part.errorText === undefined) return [part]
  const shown = refusal(part, 'errorText') as { errorText: string; toolName?: string }
  if (shown.errorText === part.errorText) return [part]
  return [{ ...shown, type: 'dynamic-tool', toolName: shown.toolName ?? type.slice('tool-'.length) }]
}

/** `of` with the words of a refusal in `field` replaced by its reason. */
function refusal(of: unknown, field: 'value' | 'errorText'): unknown {
  const words: unknown = (of as Record<string, unknown>)[field]
  if (typeof words !== 'string') return of
  const [, noTool] = /^(?:AI_NoSuchToolError: Model tried to call unavailable tool '|There is no tool ")([^'"]*)['"]\./.exec(words) ?? []
  if (noTool !== undefined) return { ...(of as object), [field]: `no such tool: ${noTool}` }
  const [, invalid] = /^(?:AI_InvalidToolInputError: )?Invalid input for tool "?([^": ]*)"?: ./.exec(words) ?? []
  return invalid === undefined ? of : { ...(of as object), [field]: `invalid input: ${invalid}` }
}

function joined(messages: readonly { role: string; parts: readonly object[] }[]) {
  const result: { role: string; parts: object[] }[] = []
  for (const { role, parts } of messages) {
    const last = result.at(-1)
    if (last?.role === role) last.parts.push(...parts)
    else result.push({ role, parts: [...parts] })
  }
  return result
}

/** Without fields that are undefined. */
function plain<T>(value: T): T {
  if (Array.isArray(value)) return value.map(plain) as T
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).flatMap(([key, item]) => (item === undefined ? [] : [[key, plain(item)]]))) as T
}
