import { createRuntime, defineAgent, memoryStore } from '../../src/runtime/index.ts'
import { reply, scriptedModel } from '../../src/testing/index.ts'
import { type Case, type Execution, inputsOf, noting, type Output, script, type Trace } from './case.ts'

export async function withRuntime(given: Case): Promise<Trace> {
  const { answers, instructions, settings, maxTurns } = given
  const executions: Execution[] = []
  const tools = noting(given.tools?.(), executions)
  const model = scriptedModel(script(answers).map(reply.parts))
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
      const { text, finishReason, usage, turns } = await session.send(input).result
      outputs.push({ text, finishReason, usage, capped: turns === maxTurns })
    }
    const { messages } = await session.view.ready
    return { calls: model.calls, messages, executions, outputs }
  } finally {
    await runtime.close()
  }
}
