import type { AnyEvent } from '../events/kinds.ts'
import { partKey } from '../protocol/outbox.ts'

/** Where the telling of a part, by `partKey`, broke off: a UTF-16 position; `undefined` where it did not. */
export type BrokenOff = (key: string) => number | undefined

/** The texts of a committed message from where their telling broke off, each as one delta. */
export function restOf(event: Extract<AnyEvent, { kind: 'assistant-message-committed' }>, brokenOff: BrokenOff) {
  const { message, kind: _, ...envelope } = event
  return message.parts.flatMap((part, index) => {
    const partId = String(index)
    const key = partKey(message.id, partId)
    const start = brokenOff(key)
    if (start === undefined || (part.type !== 'text' && part.type !== 'reasoning') || start >= part.text.length)
      return []
    const rest = { kind: `${part.type}-delta`, messageId: message.id, partId, start, delta: part.text.slice(start) }
    return [{ key, delta: { ...envelope, seq: envelope.seq - 1, ...rest } as AnyEvent }]
  })
}
