import type { Difference, Trace } from './case.ts'

// What differs between the AI SDK and turnloop by design: all of it is here, and nothing else is forgiven. Both traces are
// brought to one form, and are then compared whole.

/**
 * In every case:
 *
 * - **Fields that are undefined** are the same as none: a provider can't tell them apart.
 * - **`abortSignal` and `includeRawChunks`** of a call are left out: the one is an object of each side's own, the other an
 *   option of `streamText` that turnloop doesn't have.
 * - **The header `user-agent`** is left out: the AI SDK adds one, turnloop does not, for a strict proxy refuses it.
 * - **Inputs of calls in prompts** are compared as JSON: the AI SDK keeps what a schema made of them (a `Date`), turnloop
 *   what can be stored. Providers send JSON.
 * - **Bytes in prompts** are compared as base64, in which turnloop stores them. Providers take both.
 * - **Text in `messages` that tools receive** may be a string or a text part.
 * - **Messages** are compared by role and parts. Ids are each side's own, metadata is turnloop's own.
 * - **One message per turn** here, one per answer there: neighbours of one role are joined, messages without parts and the
 *   `step-start` parts, which part turns in the AI SDK's messages, are left out.
 * - **`id` of a reasoning part**, its provider's name for it in the stream, is left out: it means nothing afterwards.
 * - **A text that its provider did not end** is `done` here once the answer is whole, and `streaming` for ever there.
 * - **The words for a refused call** (unknown tool, invalid input) are turnloop's own: shorter, without the input again.
 *   Compared is what is refused, and why. A refused call is always shown as `dynamic-tool`: the AI SDK shows some as the
 *   tool's own part, whose type promises an input that this one hasn't. Its blank input is shown as `{}`. Its metadata
 *   stands on call and result, as for any other call; the AI SDK loses it on the one in messages, on the other in prompts.
 * - **The note of the turns that are left**, which turnloop puts at the end of what the model is asked in a run's last two
 *   turns, is left out.
 * - **The finish reason** of a run that the cap of turns stopped is left out: turnloop gives a reason to stop instead.
 *
 * What is not compared at all, for turnloop does less by design: files by URL in a tool's content are not downloaded for
 * models that don't take them (a page can rarely do that), and an image's media type is not looked up in its bytes
 * (providers do that).
 */
export function normalise({ calls, messages, executions, outputs }: Trace, differs: readonly Difference[] = []) {
  return plain({
    calls: calls.map(({ abortSignal: _, includeRawChunks: __, headers, prompt, ...call }) => ({
      ...call,
      headers: withoutUserAgent(headers),
      prompt: withoutNote(prompt).map((message) => promptMessage(message, differs)),
    })),
    messages: joined(
      messages.map(({ role, parts }) => ({ role, parts: parts.flatMap((part) => shownPart(part, differs)) })),
    ),
    executions: executions.map((execution) => ({
      ...execution,
      messages: execution.messages.map((message) => promptMessage(message, differs)),
    })),
    outputs: outputs.map((output) => (output.capped ? { ...output, finishReason: undefined } : output)),
  })
}

function withoutUserAgent(headers: Trace['calls'][number]['headers'] = {}) {
  const { 'user-agent': _, ...others } = headers
  return others
}

/** Alone at the end, as it stands after results; no case ends its turns on a message of the user's. */
function withoutNote(prompt: Trace['calls'][number]['prompt']) {
  const last = prompt.at(-1)
  const isNote =
    last?.role === 'user' &&
    last.content.every((part) => part.type === 'text' && part.text.startsWith('[Note of the runtime, not of the user:'))
  return isNote ? prompt.slice(0, -1) : prompt
}

interface AnyMessage {
  readonly role: string
  readonly content: string | readonly object[]
}

function promptMessage(message: AnyMessage, differs: readonly Difference[]): AnyMessage {
  if (message.role === 'system') return message
  const { content } = message
  const parts = typeof content === 'string' ? [{ type: 'text', text: content }] : content
  return { ...message, content: parts.map((part) => bytesAsBase64(promptPart(part as AnyPart, differs)) as object) }
}

type AnyPart = { readonly type: string; readonly [field: string]: unknown }

function promptPart(part: AnyPart, differs: readonly Difference[]): object {
  if (part.type === 'tool-call') return { ...part, input: JSON.parse(JSON.stringify(part.input)) }
  if (part.type === 'file' && differs.includes('generated files by URL')) return { ...part, data: 'the file' }
  if (part.type !== 'tool-result') return part
  const output = part.output as AnyPart
  const why = reasonOfRefusal(output.value)
  return why === undefined ? part : { ...part, output: { ...output, value: why }, providerOptions: undefined }
}

function shownPart(given: object, differs: readonly Difference[]): object[] {
  const part = given as AnyPart
  const { type, state, errorText } = part
  if (type === 'step-start') return []
  if (type === 'reasoning') return [{ ...part, id: undefined, state: 'done' }]
  if (type === 'file' && differs.includes('generated files by URL')) return [{ ...part, url: 'the file' }]
  if (
    differs.includes('calls that are not carried out') &&
    state === 'output-error' &&
    /^Not carried out/.test(String(errorText))
  ) {
    return [{ ...part, state: 'input-available', errorText: undefined }]
  }
  const why = reasonOfRefusal(errorText)
  if (why === undefined) return [part]
  const { callProviderMetadata: _, resultProviderMetadata: __, ...rest } = part
  const toolName = part.toolName ?? type.slice('tool-'.length)
  return [{ ...rest, type: 'dynamic-tool', toolName, errorText: why, input: part.input === '' ? {} : part.input }]
}

const noSuchTool = /^(?:AI_NoSuchToolError: Model tried to call unavailable tool '|There is no tool ")([^'"]*)['"]\./
const invalidInput = /^(?:AI_InvalidToolInputError: )?Invalid input for tool "?([^": ]*)"?: ./

function reasonOfRefusal(words: unknown): string | undefined {
  if (typeof words !== 'string') return undefined
  const [, unknown] = noSuchTool.exec(words) ?? []
  if (unknown !== undefined) return `no such tool: ${unknown}`
  const [, invalid] = invalidInput.exec(words) ?? []
  return invalid === undefined ? undefined : `invalid input: ${invalid}`
}

function bytesAsBase64(value: unknown): unknown {
  if (value instanceof Uint8Array) return btoa(String.fromCharCode(...value))
  return mapped(value, bytesAsBase64)
}

/** Without fields that are undefined. */
const plain = (value: unknown): unknown => mapped(value, plain)

/** A copy of an array or a plain object with `map` applied to its items; anything else as it is. */
function mapped(value: unknown, map: (item: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(map)
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) => (item === undefined ? [] : [[key, map(item)]])),
  )
}

function joined(messages: readonly { role: string; parts: readonly object[] }[]) {
  const result: { role: string; parts: object[] }[] = []
  for (const { role, parts } of messages) {
    if (parts.length === 0) continue
    const last = result.at(-1)
    if (last?.role === role) last.parts.push(...parts)
    else result.push({ role, parts: [...parts] })
  }
  return result
}
