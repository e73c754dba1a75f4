import {
  isStepCount,
  type ModelMessage,
  readUIMessageStream,
  streamText,
  type ToolSet,
  toUIMessageStream,
  type UIMessage,
} from 'ai'
import { reply, scriptedModel } from '../../src/testing/index.ts'
import { type Case, type Execution, inputsOf, noting, type Output, script, type Trace } from './case.ts'

// It would warn of the older names of files, which are a case.
globalThis.AI_SDK_LOG_WARNINGS = false

/** The reference: the AI SDK's own loop, whose messages are sent back as its documentation has it. */
export async function withStreamText(given: Case): Promise<Trace> {
  const { instructions, settings, maxTurns } = given
  const executions: Execution[] = []
  const tools = noting(given.tools?.(), executions)
  const model = scriptedModel(script(given.answersForReference ?? given.answers).map(reply.parts))
  const messages: ModelMessage[] = []
  const shown: UIMessage[] = []
  const outputs: Output[] = []

  for (const input of inputsOf(given)) {
    messages.push({ role: 'user', content: input })
    shown.push({ id: '', role: 'user', parts: [{ type: 'text', text: input }] })
    const result = streamText({
      model,
      messages,
      ...optionsOf(settings),
      ...(instructions === undefined ? {} : { instructions }),
      ...(tools ? { tools } : {}),
      stopWhen: isStepCount(maxTurns ?? 20),
      maxRetries: 0,
      experimental_download: download,
      onError: () => {},
    })
    const message = await lastMessage(result.stream, tools)
    if (message) shown.push(message)
    messages.push(...(await result.responseMessages))
    outputs.push(await outputOf(result, maxTurns))
  }
  return { calls: model.calls, messages: shown, executions, outputs }
}

function optionsOf({ stopSequences, headers, toolChoice, ...settings }: NonNullable<Case['settings']> = {}) {
  return {
    ...settings,
    ...(stopSequences ? { stopSequences: [...stopSequences] } : {}),
    ...(headers ? { headers: { ...headers } } : {}),
    ...(toolChoice === undefined ? {} : { toolChoice }),
  }
}

/** Files that the model made are to be had; what is in a prompt is for the model to fetch. */
const download = async (files: readonly { readonly url: URL }[]) =>
  files.map(({ url }) =>
    url.host === 'generated.example' ? { data: new Uint8Array([1]), mediaType: undefined } : null,
  )

/** What a page shows in the end, after the stream crossed the wire as JSON. */
async function lastMessage(stream: ReturnType<typeof streamText>['stream'], tools: ToolSet | undefined) {
  const chunks = toUIMessageStream({
    stream: stream as never,
    sendSources: true,
    // The words of errors are compared, so that they are not masked.
    onError: String,
    redactToolErrors: false,
    ...(tools ? { tools } : {}),
  })
  const wire = new TransformStream({
    transform: (chunk, controller) => controller.enqueue(JSON.parse(JSON.stringify(chunk))),
  })
  let last: UIMessage | undefined
  for await (const message of readUIMessageStream({ stream: chunks.pipeThrough(wire), terminateOnError: true }))
    last = message
  return last
}

async function outputOf(result: ReturnType<typeof streamText>, maxTurns: number | undefined): Promise<Output> {
  const { inputTokens = 0, outputTokens = 0, inputTokenDetails, outputTokenDetails } = await result.usage
  const { cacheReadTokens = 0 } = inputTokenDetails
  const { reasoningTokens = 0 } = outputTokenDetails
  return {
    text: await result.text,
    finishReason: await result.finishReason,
    usage: { inputTokens, outputTokens, cachedInputTokens: cacheReadTokens, reasoningTokens },
    capped: (await result.steps).length === maxTurns,
  }
}
