import { createRuntime, defineAgent, memoryStore } from '../../src/runtime/index.ts'
import { reply, scriptedModel } from '../../src/testing/index.ts'
import { type Case, inputsOf, noting, type Output, type Trace } from './case.ts'
import { answer, text } from './parts.ts'

export async function withRuntime(given: Case): Promise<Trace> {
  const { answers, instructions, settings, maxTurns } = given
  const executions: { toolName: string; input: unknown }[] = []
  const tools = noting(given.tools?.(), executions)
  const model = scriptedModel([...answers, answer(text('0', 'Done.'))].map((parts) => reply.parts([...parts])))
  const agent = defineAgent({
    name: 'assistant',
    model,
    ...(instructions === undefined ? undefined : { instructions }),
    ...(tools && { tools }),
    ...(settings && { settings }),
    ...(maxTurns === undefined ? undefined : { limits: { maxTurns } }),
  })
  const runtime = createRuntime(agent, { store: memoryStore() })
  try {
    const session = runtime.session()
    const outputs: Output[] = []
    for (const input of inputsOf(given)) {
      const { text, finishReason, usage } = await session.send(input).result
      outputs.push({ text, finishReason, usage })
    }
    const { messages } = await session.view.ready
    return { calls: model.calls, messages, executions, outputs }
  } finally {
    await runtime.close()
  }
}
