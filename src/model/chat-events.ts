import type { LanguageModelV4StreamPart } from '@ai-sdk/provider'
import type { EventKind, EventPayloads } from '../events/kinds.ts'

type ChatKind = Extract<EventKind, `chat-${string}`>
type ChatEvent = { [K in ChatKind]: { readonly kind: K; readonly payload: EventPayloads[K] } }[ChatKind]

/** The provider's own stream as events, for those who want to see below the run; none for parts that have no kind. */
export function chatEvent(part: LanguageModelV4StreamPart): ChatEvent | undefined {
  switch (part.type) {
    case 'text-delta':
      return { kind: 'chat-text-delta', payload: { id: part.id, delta: part.delta } }
    case 'tool-input-start':
      return { kind: 'chat-tool-call-started', payload: { id: part.id, toolName: part.toolName } }
    case 'tool-input-delta':
      return { kind: 'chat-tool-call-arguments-delta', payload: { id: part.id, delta: part.delta } }
    case 'tool-call':
      return {
        kind: 'chat-tool-call-completed',
        payload: { id: part.toolCallId, toolName: part.toolName, input: part.input },
      }
    case 'finish':
      return { kind: 'chat-finished', payload: { finishReason: part.finishReason.unified } }
    default:
      return undefined
  }
}
