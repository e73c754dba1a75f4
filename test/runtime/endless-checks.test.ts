import { type AgentDefinition, createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { record } from './record.ts'
import { mortal } from './stores.ts'

// A tool's own functions may never answer: a stop doesn't wait for them.

function start(store: Store, definition: Omit<AgentDefinition, 'name' | 'model'>) {
  const model = scriptedModel([reply.call('work', { n: 1 })])
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, ...definition }), { store })
  onTestFinished(() => runtime.close())
  const session = runtime.session('trip')
  return { runtime, session, heard: record(session) }
}

/** A function that never answers, and when it is asked. */
function endless() {
  let ask = () => {}
  const asked = new Promise<void>((resolve) => (ask = resolve))
  const answer = () => {
    ask()
    return new Promise<never>(() => {})
  }
  return { asked, answer }
}

const inputSchema = z.object({ n: z.number() })

test('a stop does not wait for what a tool makes of the output of a middleware', async () => {
  const { asked, answer } = endless()
  const work = tool({
    inputSchema,
    execute: () => 'a',
    toModelOutput: ({ output }) => (output === 'b' ? answer() : { type: 'text', value: 'a' }),
  })
  const middleware = [{ name: 'changes', afterTool: () => ({ output: 'b' }) }]
  const run = start(memoryStore(), { tools: { work }, middleware }).session.send('Go')
  await asked
  expect(await run.stop()).toMatchObject({ reason: 'requested' })
})

test('a stop does not wait for the validation of what a middleware gave', async () => {
  const { asked, answer } = endless()
  const schema = inputSchema.refine(({ n }) => n === 1 || answer())
  const work = tool({ inputSchema: schema, execute: () => 'a' })
  const middleware = [{ name: 'changes', beforeTool: () => ({ input: { n: 2 } }) }]
  const run = start(memoryStore(), { tools: { work }, middleware }).session.send('Go')
  await asked
  expect(await run.stop()).toMatchObject({ reason: 'requested' })
})

test('a stop does not wait for what a tool makes of the result that a person gave', async () => {
  const store = memoryStore()
  const { asked, answer } = endless()
  const work = tool({ inputSchema, execute: () => new Promise(() => {}), toModelOutput: answer })
  const dying = mortal(store)
  const first = start(dying, { tools: { work } })
  void first.session.send('Go')
  await first.heard.when('tool-execution-started')
  dying.die()

  const { runtime, session, heard } = start(mortal(store), { tools: { work } })
  runtime.approvals.subscribe(() => {})
  const { approval } = await heard.when('approval-requested')
  await runtime.approvals.answer(approval as never, { decision: 'supply-result', output: 'b' } as never)
  await asked
  await session.stop()
  await expect.poll(async () => (await store.readSession('trip', { messages: 0 }))?.run?.status).toBe('stopped')
})
