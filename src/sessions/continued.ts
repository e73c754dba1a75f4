import type { MessageRecord } from './records.ts'

/** Whether a message ends where the model's answers may be no longer: the one after it, if it is the run's, goes on with it. */
export const isContinued = (message: MessageRecord | undefined) =>
  message?.role === 'assistant' && message.finishReason === 'length'

/** The text of a run's last answer, from where it began. */
export function lastText(messages: readonly MessageRecord[], runId: string): string {
  const own = messages.filter((message) => message.runId === runId)
  let at = own.findLastIndex(({ role }) => role === 'assistant')
  let text = textOf(own[at])
  while (isContinued(own[--at])) text = textOf(own[at]) + text
  return text
}

/** The text of an answer; empty where there is none. */
export const textOf = (message: MessageRecord | undefined) =>
  message?.role === 'assistant' ? message.parts.map((part) => (part.type === 'text' ? part.text : '')).join('') : ''
