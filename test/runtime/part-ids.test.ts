import { createRuntime, defineAgent, memoryStore, tool } from 'turnloop/runtime'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { type ManualCall, manualModel } from './manual-model.ts'
import { expectOrder, record } from './record.ts'

function start() {
  const model = manualModel()
  const work = tool({ inputSchema: z.object({}), execute: () => 1 })
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools: { work }, doomLoop: false }), {
    store: memoryStore(),
  })
  const session = runtime.session('trip')
  return { model, session, heard: record(session) }
}

const begin = (call: ManualCall, id: string) => call.write({ type: 'tool-input-start', id, toolName: 'work' })
const complete = (call: ManualCall, toolCallId: string) =>
  call.write({ type: 'tool-call', toolCallId, toolName: 'work', input: '{}' })

/** The calls complete in another order than they began, with a text between them. */
function writeCrossed(call: ManualCall) {
  begin(call, 'a')
  begin(call, 'b')
  call.text('Let me see')
  complete(call, 'b')
  complete(call, 'a')
  complete(call, 'c')
}

test('the id of a part is its index in the committed message, in whatever order calls complete', async () => {
  const { model, session, heard } = start()
  const run = session.send('Go')
  const call = await model.next()
  writeCrossed(call)
  call.finish('tool-calls')
  const { message } = await heard.when('assistant-message-committed')
  const ids = new Map(heard.of('tool-call-completed').map(({ toolCallId, partId }) => [toolCallId, partId]))
  expect(message.parts.map((part) => ('toolCallId' in part ? part.toolCallId : part.type))).toEqual([
    'a',
    'b',
    'text',
    'c',
  ])
  message.parts.forEach((part, index) => {
    if ('toolCallId' in part) expect(ids.get(part.toolCallId)).toBe(String(index))
  })
  expect(heard.of('tool-call-started').map(({ partId }) => partId)).toEqual(['0', '1'])
  expect(heard.of('text-delta')).toMatchObject([{ partId: '2' }])
  ;(await model.next()).finish()
  await run.result
  expectOrder(heard.events)
})

test('so it is in the results of the calls, which are in the order of the parts', async () => {
  const { model, session } = start()
  const run = session.send('Go')
  const call = await model.next()
  writeCrossed(call)
  call.finish('tool-calls')
  const next = await model.next()
  expect(next.options.prompt.at(-1)?.content).toMatchObject(['a', 'b', 'c'].map((toolCallId) => ({ toolCallId })))
  next.finish()
  await run.result
})

test('so it is in an answer that was cut before a call was whole', async () => {
  const { model, session, heard } = start()
  const run = session.send('Go')
  const call = await model.next()
  begin(call, 'a')
  call.text('Let me')
  await heard.when('text-delta')
  await run.stop()
  const { message } = await heard.when('assistant-message-committed')
  const told = heard.of('text-delta')[0]
  expect(message.parts[Number(told?.partId)]).toMatchObject({ type: 'text', text: 'Let me' })
})

test('a listener that joins while calls are being written is told the same ids', async () => {
  const { model, session, heard } = start()
  const run = session.send('Go')
  const call = await model.next()
  begin(call, 'a')
  begin(call, 'b')
  call.text('Let me see')
  complete(call, 'b')
  await heard.when('tool-call-completed')
  const joined = record(session, { since: 0 })
  await joined.when('tool-call-completed')
  expect(joined.of('tool-call-completed')).toMatchObject([{ toolCallId: 'b', partId: '1' }])
  expect(joined.of('tool-call-started')).toMatchObject([{ toolCallId: 'a', partId: '0' }])
  expect(joined.of('text-delta')).toMatchObject([{ partId: '2', start: 0 }])
  run.abort()
  await run.result.catch(() => {})
})

test('the view shows every part once and in its place, while it streams and after the commit', async () => {
  const { model, session, heard } = start()
  const leave = session.view.subscribe(() => {})
  await session.view.ready
  const run = session.send('Go')
  const call = await model.next()
  writeCrossed(call)
  await heard.nth(3, 'tool-call-completed')
  const shown = () => {
    const parts = session.view.getSnapshot().messages.find(({ role }) => role === 'assistant')?.parts
    return parts?.map((part) => ('toolCallId' in part ? part.toolCallId : part.type))
  }
  await expect.poll(shown).toEqual(['a', 'b', 'text', 'c'])
  call.finish('tool-calls')
  ;(await model.next()).finish()
  await run.result
  await expect.poll(() => session.view.getSnapshot().status).toBe('ready')
  expect(shown()).toEqual(['a', 'b', 'text', 'c'])
  leave()
})
