import { isStepCount, type ModelMessage, readUIMessageStream, streamText, toUIMessageStream, type UIMessage } from 'ai'
import { reply, scriptedModel } from '../../src/testing/index.ts'
import { type Case, inputsOf, noting, type Output, type Trace } from './case.ts'
import { answer, text } from './parts.ts'

/** The reference: the AI SDK's own loop, its messages sent back as a server would. */
export async function withStreamText(given: Case): Promise<Trace> {
  const { answers, instructions, settings: { stopSequences, headers, toolChoice, ...settings } = {}, maxTurns = 20 } = given
  const executions: { toolName: string; input: unknown }[] = []
  const tools = noting(given.tools?.(), executions)
  const model = scriptedModel([...answers, answer(text('0', 'Done.'))].map((parts) => reply.parts([...parts])))
  const messages: ModelMessage[] = []
  const shown: UIMessage[] = []
  const outputs: Output[] = []

  for (const input of inputsOf(given)) {
    messages.push({ role: 'user', content: input })
    shown.push({ id: '', role: 'user', parts: [{ type: 'text', text: input }] })
    const errors: unknown[] = []
    const result = streamText({
      model,
      messages,
      ...settings,
      ...(instructions === undefined ? {} : { instructions }),
      ...(tools ? { tools } : {}),
      ...(stopSequences ? { stopSequences: [...stopSequences] } : {}),
      ...(headers ? { headers: { ...headers } } : {}),
      ...(toolChoice === undefined ? {} : { toolChoice }),
      stopWhen: isStepCount(maxTurns),
      maxRetries: 0,
      experimental_download: async (files) => files.map(({ url }) => (url.host === 'generated.example' ? { data: new Uint8Array([1]), mediaType: undefined } : null)),
      onError: ({ error }) => void errors.push(error),
    })
    const stream = toUIMessageStream({ stream: result.stream, sendSources: true, ...(tools ? { tools } : {}) })
    let last: UIMessage | undefined
    for await (const message of readUIMessageStream({ stream, terminateOnError: true })) last = message
    if (errors.length > 0) throw errors[0]
    if (last) shown.push(last)
    messages.push(...(await result.responseMessages))
    outputs.push(await outputOf(result))
  }
  return { calls: model.calls, messages: shown, executions, outputs }
}

async function outputOf(result: ReturnType<typeof streamText>): Promise<Output> {
  const { inputTokens = 0, outputTokens = 0, inputTokenDetails, outputTokenDetails } = await result.usage
  return {
    text: await result.text,
    finishReason: await result.finishReason,
    usage: {
      inputTokens,
      outputTokens,
      cachedInputTokens: inputTokenDetails.cacheReadTokens ?? 0,
      reasoningTokens: outputTokenDetails.reasoningTokens ?? 0,
    },
  }
}
