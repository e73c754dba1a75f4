import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4StreamResult } from '@ai-sdk/provider'
import type { Usage } from '../api/public-types.ts'
import { AgentError } from '../errors.ts'
import { copyCall } from './copy-call.ts'
import { framesOf } from './frames.ts'
import { httpError } from './provider-errors.ts'
import type { Reply } from './reply.ts'
import { streamFrames, until } from './stream-frames.ts'

/** A reply, or what makes one from the call: its prompt, tools and settings. What it throws, the call fails with. */
export type ScriptedTurn = Reply | ((call: LanguageModelV4CallOptions) => Reply | Promise<Reply>)

export interface ScriptedModelOptions {
  /** Milliseconds from one part of an answer to the next. 0 by default: as fast as they are read. */
  readonly pace?: number
  /** Tokens that every answer says it used; none by default. `reply.finish({ usage })` sets those of one answer. */
  readonly usage?: Partial<Usage>
  /** `scripted` by default. */
  readonly provider?: string
  /** `scripted-model` by default. */
  readonly modelId?: string
}

export type ScriptedModel = LanguageModelV4 & {
  /** What the model was asked, call by call, as it was at that time. */
  readonly calls: readonly LanguageModelV4CallOptions[]
}

/**
 * A model for tests: answers the first call with the first turn, the second with the second, and keeps what it was asked
 * in `calls`. It streams truthfully, part by part, and honours the call's signal at every moment.
 *
 * A call beyond the last turn fails with an `AgentError` (`invalid-argument`) that says how many turns there were.
 */
export function scriptedModel(turns: readonly ScriptedTurn[], options: ScriptedModelOptions = {}): ScriptedModel {
  const { pace = 0, usage = {}, provider = 'scripted', modelId = 'scripted-model' } = options
  const calls: LanguageModelV4CallOptions[] = []
  let callIds = 0

  return {
    specificationVersion: 'v4',
    provider,
    modelId,
    supportedUrls: {},
    calls,

    async doGenerate() {
      throw new AgentError(
        'unsupported-model',
        'scriptedModel: only streaming is scripted. Call doStream, or streamText in place of generateText.',
      )
    },

    async doStream(given: LanguageModelV4CallOptions): Promise<LanguageModelV4StreamResult> {
      const { abortSignal } = given
      abortSignal?.throwIfAborted()
      const call = copyCall(given)
      const number = calls.push(call)
      const aborted = until(abortSignal).then((): never => {
        throw abortSignal?.reason
      })
      const answer = await Promise.race([turnOf(turns, number, call), aborted])
      const [first] = answer.pieces
      if (first?.type === 'fail') throw httpError(first.status, first.headers)
      if (first?.type === 'hang') return aborted
      const frames = framesOf(answer, {
        modelId,
        usage,
        responseId: `response-${number}`,
        newCallId: () => `call-${++callIds}`,
      })
      return { stream: streamFrames(frames, pace, abortSignal) }
    },
  }
}

async function turnOf(
  turns: readonly ScriptedTurn[],
  number: number,
  call: LanguageModelV4CallOptions,
): Promise<Reply> {
  const turn = turns[number - 1]
  if (turn) return typeof turn === 'function' ? turn(call) : turn
  const [has, further] = [turns.length === 1 ? '1 turn' : `${turns.length} turns`, `call ${number}`]
  throw new AgentError(
    'invalid-argument',
    `scriptedModel: the script has ${has}, and this is ${further}. Add a reply for it, or find out why the model is asked again.`,
  )
}
