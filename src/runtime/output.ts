import type { LanguageModelV4CallOptions, LanguageModelV4Prompt } from '@ai-sdk/provider'
import { isToolName } from '../agent/tool-names.ts'
import { AgentError, messageOf } from '../errors.ts'
import type { Answer } from '../model/answer.ts'
import type { RunRecord } from '../sessions/records.ts'
import { parseJson } from '../tools/parse-call.ts'
import { toJsonSchema, type Validation, validate } from '../tools/schema.ts'
import { toJson } from '../tools/tool-output.ts'
import type { Run } from './run.ts'
import { jsonTexts } from './texts.ts'
import { goesOnAfter } from './turn.ts'
import { withNote } from './turns-left.ts'
import { untilAborted } from './until-aborted.ts'
import { droppedStep } from './usage.ts'

/** Characters of an answer that the model is shown again. */
const longestShown = 20_000

type ResponseFormat = NonNullable<LanguageModelV4CallOptions['responseFormat']>
const formats = new WeakMap<object, Promise<ResponseFormat>>()

/** What a provider is told of the answer that is wanted, where it is to be JSON. */
export function responseFormatOf({ agent: { output, name } }: Run): Promise<ResponseFormat> | undefined {
  if (!output) return undefined
  let format = formats.get(output)
  if (!format) {
    const named = isToolName(name) ? { name } : undefined
    format = Promise.resolve(toJsonSchema(output, 'output')).then((schema) => ({ type: 'json', schema, ...named }))
    formats.set(output, format)
  }
  return format
}

/**
 * Looks at an answer after which the run would be complete: what it is as the agent's `output` is kept for that commit. True
 * where it doesn't fit, and the model is to be asked once more: the answer is dropped, and what it used is booked. Rejects with
 * `invalid-output` where that was in vain.
 */
export async function isToRepair(run: Run, answer: Answer): Promise<boolean> {
  const { output } = run.agent
  run.output = undefined
  if (!output || goesOnAfter(run, answer)) return false
  const { text } = answer
  const checked = await untilAborted(() => readOutput(output, text), run.signal)
  if (checked.ok) {
    const value = toJson(checked.value)
    run.output = { value: run.onText ? jsonTexts(value, run.onText) : value }
    return false
  }
  const { onText = (text) => text } = run
  const problem = onText(messageOf(checked.problem))
  if (run.record.repair)
    throw new AgentError('invalid-output', `The answer does not fit the agent's output, twice: ${problem}`)
  run.answer = undefined
  run.emit('message-voided', { messageId: answer.messageId })
  const dropped = droppedStep(run, answer)
  const repair = { turn: run.turn, text: onText(text).slice(0, longestShown), problem }
  await run.commit({ ...dropped, run: { ...dropped.run, turnGivenBack: true, repair } })
  return true
}

async function readOutput(schema: NonNullable<Run['agent']['output']>, text: string): Promise<Validation> {
  const [, fenced] = /^```\w*\s*\n(.*?)\n?```$/s.exec(text.trim()) ?? []
  const parsed = parseJson(fenced ?? text)
  if (!parsed.ok) return { ok: false, problem: `It is no JSON: ${parsed.problem}` }
  const checked = await validate(schema, parsed.value)
  if (!checked.ok) return checked
  try {
    return { ok: true, value: toJson(checked.value, { subject: 'The output', verb: 'give' }) }
  } catch (error) {
    return { ok: false, problem: messageOf(error) }
  }
}

/** What the end of a run that is complete stores. */
export const outputFields = ({ output }: Run): Partial<RunRecord> =>
  output ? { output: output.value, repair: undefined } : {}

/** A turn whose answer did not fit is asked again with that answer, and what is wrong with it; neither is in the history. */
export function withRepair({ record, turn }: Run, prompt: LanguageModelV4Prompt): LanguageModelV4Prompt {
  const { repair } = record
  if (repair?.turn !== turn) return prompt
  const isNext = repair.text && prompt.at(-1)?.role !== 'assistant'
  const said = { role: 'assistant' as const, content: [{ type: 'text' as const, text: repair.text }] }
  return withNote(
    isNext ? [...prompt, said] : prompt,
    `This answer does not fit the schema that it must have: ${repair.problem}\nAnswer again, with the whole JSON and nothing else.`,
  )
}
