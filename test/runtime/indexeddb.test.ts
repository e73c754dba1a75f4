import { createRuntime, defineAgent, indexedDbStore, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { problemsOf } from './check-prompt.ts'
import { manualModel } from './manual-model.ts'
import { expectOrder, record } from './record.ts'

let name = ''
beforeEach(() => {
  name = crypto.randomUUID()
  return () => void indexedDB.deleteDatabase(name)
})

const forecast = tool({ inputSchema: z.object({ city: z.string() }), execute: ({ city }) => ({ city, celsius: 21 }) })
const pickDate = tool({ inputSchema: z.object({}), outputSchema: z.string() })

/** A page: a runtime with a store of its own on the database. */
function open(model: Parameters<typeof defineAgent>[0]['model']) {
  const agent = defineAgent({ name: 'assistant', model, instructions: 'Be brief.', tools: { forecast, pickDate } })
  const store = indexedDbStore({ name })
  const runtime = createRuntime(agent, { store })
  onTestFinished(() => store.close())
  const session = runtime.session('trip')
  const close = async () => {
    await runtime.close()
    await store.close()
  }
  return { runtime, session, heard: record(session), close }
}

test('a session is there after a reload, as it was', async () => {
  const before = open(
    scriptedModel([
      reply.all(
        reply.reasoning('Hm'),
        reply.call('forecast', { city: 'Porto' }),
        reply.call('forecast', { city: 'Lisbon' }),
      ),
      reply.text('Sunny'),
    ]),
  )
  await before.session.send('Weather?').result
  await before.session.rename('My trip')
  const shown = await before.session.view.ready
  expectOrder(before.heard.events)
  await before.close()

  const model = scriptedModel([reply.text('Still sunny')])
  const after = open(model)
  expect(await after.runtime.sessions.list()).toMatchObject([
    { id: 'trip', title: 'My trip', status: 'ready', messageCount: 4 },
  ])
  const again = await after.session.view.ready
  expect(again).toEqual({ ...shown, title: 'My trip' })
  await after.session.send('And now?').result
  expect(problemsOf(model.calls[0]?.prompt ?? [])).toEqual([])
  expect(model.calls[0]?.prompt.map(({ role }) => role)).toEqual([
    'system',
    'user',
    'assistant',
    'tool',
    'assistant',
    'user',
  ])
  const all = record(after.session, { since: 0 })
  await all.nth(2, 'run-completed')
  expectOrder(all.events)
  expect(all.events.slice(0, 3)).toEqual(
    before.heard.events.filter(({ seq, kind }) => seq > 0 && kind !== 'session-created').slice(0, 3),
  )
  expect(all.of('run-completed').map(({ turn }) => turn)).toEqual([2, 3])
})

test('a call that waits for a person does so over a reload', async () => {
  const before = open(scriptedModel([reply.call('pickDate', {}, { toolCallId: 'date' })]))
  const { runId } = before.session.send('When?')
  await before.heard.when('run-waiting')
  await before.close()
  const model = scriptedModel([reply.text('Booked')])
  const after = open(model)
  expect(await after.session.view.ready).toMatchObject({
    status: 'submitted',
    run: { runId, phase: 'waiting', waitingFor: 'tool-results' },
  })
  await after.session.addToolOutput({ tool: 'pickDate', toolCallId: 'date', output: 'tomorrow' })
  expect(await after.runtime.runs.get(runId).result).toMatchObject({ text: 'Booked', turns: 2 })
  expect(problemsOf(model.calls[0]?.prompt ?? [])).toEqual([])
})

test('stop, abort and the queue work', async () => {
  const model = manualModel()
  const { session, heard } = open(model)
  const runs = ['one', 'two', 'three', 'four'].map((input) => session.send(input))
  const first = await model.next()
  first.text('Half')
  await heard.when('text-delta')
  expect(await runs[0]?.stop()).toMatchObject({ status: 'stopped', text: 'Half' })
  await model.next()
  runs[1]?.abort()
  runs[2]?.abort()
  await expect(runs[1]?.result).rejects.toMatchObject({ name: 'AbortError' })
  await expect(runs[2]?.result).rejects.toMatchObject({ name: 'AbortError' })
  const last = await model.next()
  expect(problemsOf(last.options.prompt)).toEqual([])
  expect(last.options.prompt.at(-1)?.content).toMatchObject([{ text: 'four' }])
  last.finish()
  await runs[3]?.result
  expectOrder(heard.events)
})

test('many sessions run at once', async () => {
  const ids = Array.from({ length: 12 }, (_, n) => `session ${n}`)
  const model = scriptedModel(
    ids.flatMap(() => [
      ({ prompt }) => (prompt.length > 2 ? reply.text('Sunny') : reply.call('forecast', { city: 'Porto' })),
      ({ prompt }) => (prompt.length > 2 ? reply.text('Sunny') : reply.call('forecast', { city: 'Porto' })),
    ]),
  )
  const { runtime } = open(model)
  const heard = record(runtime)
  const outputs = await Promise.all(ids.map((id) => runtime.session(id).send('Weather?').result))
  expect(new Set(outputs.map(({ text }) => text))).toEqual(new Set(['Sunny']))
  for (const id of ids) expectOrder(heard.events.filter(({ sessionId }) => sessionId === id))
  expect(await runtime.sessions.list({ limit: 5 })).toHaveLength(5)
  const pages: string[] = []
  for (let before: string | undefined; ; ) {
    const page = await runtime.sessions.list(before === undefined ? { limit: 5 } : { limit: 5, before })
    if (page.length === 0) break
    pages.push(...page.map(({ id }) => id))
    before = pages.at(-1)
  }
  expect([...pages].sort()).toEqual([...ids].sort())
})

test('a deleted session is gone, and its id can be used again', async () => {
  const model = scriptedModel([reply.text('One'), reply.text('Anew')])
  const { session, runtime, heard } = open(model)
  const run = session.send('Hi')
  await run.result
  await session.delete()
  await heard.when('session-deleted')
  expect(await runtime.sessions.list()).toEqual([])
  await expect(runtime.runs.get(run.runId).result).rejects.toMatchObject({ code: 'unknown-run' })
  await session.send('Hi again').result
  expect(model.calls[1]?.prompt.map(({ role }) => role)).toEqual(['system', 'user'])
  expect(await runtime.sessions.list()).toMatchObject([{ id: 'trip', title: 'Hi again', messageCount: 2 }])
  const all = record(session, { since: 0 })
  await all.when('run-completed')
  expectOrder(all.events)
})
