import type { Answer } from '../model/answer.ts'
import type { Run } from './run.ts'
import type { OnText } from './texts.ts'
import { answerRecord } from './turn.ts'
import { bookingOf } from './usage.ts'

/** Milliseconds between drafts. */
const draftInterval = 250

interface DraftOptions {
  /** It is no answer, but a summary: only what it uses is kept. */
  readonly untold?: boolean
}

/** Stores what there is of the answer, and what it has used by estimate. Nobody waits for that. */
export function saveDraft(run: Run, answer: Answer, { untold = false }: DraftOptions = {}): Promise<void> {
  const { env, live, record, epoch } = run
  const { runId, leg } = record
  const parts = untold ? [] : run.onText && withoutEnds(answer, run.onText)
  const message = answerRecord(run, answer, 'partial', parts)
  const { usage, cost } = bookingOf(answer)
  const spent = { usage, ...(cost === undefined ? undefined : { cost }) }
  return env.store.saveDraft(live.id, { v: 1, epoch, runId, leg, at: env.now(), message, ...spent }).catch(() => {})
}

/** Characters of a text at whose end may be the beginning of what its middleware takes out once it is whole. */
const unsettled = 128

/** What there is of an answer, without the ends of what is still being written. */
const withoutEnds = (answer: Answer, onText: OnText) =>
  answer.partialParts.map((part) =>
    'text' in part && answer.isWriting(part) ? { ...part, text: onText(part.text).slice(0, -unsettled) } : part,
  )

/** Does that every now and then, so that a reload shows it. */
export function keepDrafts(run: Run, answer: Answer, options?: DraftOptions) {
  let saved = 0
  let saving = false
  return setInterval(() => {
    if (saving || saved === answer.length) return
    saved = answer.length
    saving = true
    void saveDraft(run, answer, options).finally(() => {
      saving = false
    })
  }, draftInterval)
}
