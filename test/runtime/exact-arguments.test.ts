import { type AgentDefinition, createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { record } from './record.ts'
import { hooked, mortal } from './stores.ts'

// A yes is for the arguments that were asked about, and for nothing that nobody has looked at since.

function start(store: Store, definition: Omit<AgentDefinition, 'name'>) {
  const runtime = createRuntime(defineAgent({ name: 'assistant', ...definition }), { store })
  // One whose store is dead never closes.
  onTestFinished(() => void runtime.close())
  const session = runtime.session('trip')
  return { runtime, session, heard: record(session) }
}

const statusIn = async (store: Store) => (await store.readSession('trip', { messages: 0 }))?.run?.status

test('a call that a middleware changed starts with what was asked about, whatever its schema makes of that', async () => {
  const ran: unknown[] = []
  const inputSchema = z.object({ path: z.string().transform((path) => `/home${path}`) })
  const remove = tool({ inputSchema, approval: 'always', execute: (input) => void ran.push(input) })
  const { runtime, session, heard } = start(memoryStore(), {
    model: scriptedModel([reply.call('remove', { path: '/a' }), reply.text('Done.')]),
    tools: { remove },
    middleware: [{ name: 'moves', beforeTool: () => ({ input: { path: '/b' } }) }],
  })
  const run = session.send('Go')
  const { approval } = await heard.when('approval-requested')
  if (approval.reason !== 'policy') throw new Error('asked about something else')
  expect(approval.input).toEqual({ path: '/home/b' })
  await runtime.approvals.answer(approval, { decision: 'allow-once' })
  await run.result
  expect(ran).toEqual([{ path: '/home/b' }])
})

test('a yes that was not used before a death is void, also where somebody lets the run go on', async () => {
  const store = memoryStore()
  const ran: string[] = []
  const send = tool({ inputSchema: z.object({}), approval: 'always', execute: () => void ran.push('send') })
  const definition = { tools: { send }, resume: 'ask' } as const
  const dying = mortal(store)
  let died = () => {}
  const death = new Promise<void>((resolve) => (died = resolve))
  const beforeStart = hooked(dying, (method, [change], call) => {
    const { calls = [] } = change as { readonly calls?: readonly { readonly state: string }[] }
    if (method !== 'commit' || !calls.some(({ state }) => state === 'started')) return call()
    dying.die()
    died()
    return new Promise(() => {})
  })
  const first = start(beforeStart, { ...definition, model: scriptedModel([reply.call('send', {})]) })
  void first.session.send('Go')
  const { approval } = await first.heard.when('approval-requested')
  void first.runtime.approvals.answer(approval as never, { decision: 'allow-once' } as never).catch(() => {})
  await death

  const model = scriptedModel([reply.text('Done.')])
  const { runtime } = start(mortal(store), { ...definition, model, policy: () => 'deny' })
  runtime.approvals.subscribe(() => {})
  await expect.poll(() => runtime.approvals.getSnapshot()).toMatchObject([{ reason: 'interrupted' }])
  const [question] = runtime.approvals.getSnapshot()
  await runtime.approvals.answer(question as never, { decision: 'resume' } as never)
  await expect.poll(() => statusIn(store)).toBe('completed')
  expect(ran).toEqual([])
})

test('an input that a person gave is validated, also where the source of its tool was away when it was given', async () => {
  const store = memoryStore()
  const ran: unknown[] = []
  const source = (away = 0) => ({
    name: 'mail',
    tools: async () => {
      if (away-- > 0) throw new Error('away')
      const inputSchema = z.object({ to: z.enum(['ada', 'bob']) })
      return { send: tool({ inputSchema, approval: 'always', execute: (input) => void ran.push(input) }) }
    },
  })
  const dying = mortal(store)
  const first = start(dying, {
    model: scriptedModel([reply.call('send', { to: 'ada' })]),
    toolSources: [source()],
  })
  void first.session.send('Go')
  const { approval } = await first.heard.when('approval-requested')
  await first.heard.when('run-waiting')
  dying.die()

  const model = scriptedModel([reply.text('Done.')])
  const { runtime } = start(mortal(store), { model, toolSources: [source(1)] })
  const answer = { decision: 'allow-once', input: { to: 'mallory' } } as const
  await runtime.approvals.answer(approval as never, answer as never)
  await expect.poll(() => statusIn(store)).toBe('completed')
  expect(ran).toEqual([])
  expect(JSON.stringify(model.calls[0]?.prompt.at(-1))).toContain('does not fit')
})

test('what is allowed for good is what was shown, also where the tool says it otherwise by now', async () => {
  const store = memoryStore()
  const send = (actionKey?: (input: { to: string }) => string) => ({
    send: tool({
      inputSchema: z.object({ to: z.string() }),
      approval: 'always',
      execute: () => 'sent',
      ...(actionKey && { actionKey }),
    }),
  })
  const dying = mortal(store)
  const model = scriptedModel([reply.call('send', { to: 'ada' })])
  const first = start(dying, { model, tools: send(({ to }) => to) })
  void first.session.send('Go')
  const { approval } = await first.heard.when('approval-requested')
  expect(approval).toMatchObject({ actionKey: 'send\nada' })
  await first.heard.when('run-waiting')
  dying.die()

  const { runtime } = start(mortal(store), { model: scriptedModel([reply.text('Done.')]), tools: send() })
  await runtime.approvals.answer(approval as never, { decision: 'allow-always' } as never)
  await expect.poll(() => statusIn(store)).toBe('completed')
  expect(await store.readGrants('trip')).toMatchObject([{ actionKey: 'send\nada' }])
})
