import { createRuntime, defineAgent, indexedDbStore, memoryStore, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { record } from './record.ts'

const stores = [
  ['in memory', memoryStore],
  ['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
] as const

test.each(stores)(
  'a tool is not started again when a run of more than 500 calls is taken up after a wait, %s',
  async (_, makeStore) => {
    const store = makeStore()
    onTestFinished(() => store.close())
    const started: string[] = []
    const work = tool({
      inputSchema: z.object({}),
      execute: (_, { toolCallId }) => {
        started.push(toolCallId)
        return 'done'
      },
    })
    const ask = tool({ inputSchema: z.object({}), outputSchema: z.string() })
    const calls = Array.from({ length: 510 }, (_, n) => reply.call('work', {}, { toolCallId: `a${n}` }))
    const model = scriptedModel([
      reply.all(...calls),
      // Ids that stand last in the ledger.
      reply.all(reply.call('work', {}, { toolCallId: 'z1' }), reply.call('ask', {}, { toolCallId: 'z2' })),
      reply.text('Done'),
    ])
    const agent = defineAgent({ name: 'assistant', model, tools: { work, ask }, doomLoop: false })
    const session = createRuntime(agent, { store }).session('trip')
    const heard = record(session)
    const run = session.send('Go')
    await heard.when('run-waiting')
    expect(started).toHaveLength(511)
    await session.addToolOutput({ tool: 'ask', toolCallId: 'z2', output: 'yes' })
    expect(await run.result).toMatchObject({ text: 'Done' })
    expect(started).toHaveLength(511)
    expect(model.calls[2]?.prompt.at(-1)?.content).toMatchObject([
      { toolCallId: 'z1', output: { type: 'text', value: 'done' } },
      { toolCallId: 'z2', output: { type: 'text', value: 'yes' } },
    ])
  },
  60_000,
)
