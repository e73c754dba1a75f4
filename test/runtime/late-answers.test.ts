import { createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { problemsOf } from './check-prompt.ts'
import { finish, manualModel } from './manual-model.ts'
import { expectOrder, record } from './record.ts'
import { door, mortal } from './stores.ts'

/** A tool whose `toModelOutput` waits before a door that may stay shut. */
function turning(more: { execute?: () => string; timeout?: number }) {
  const shut = door()
  const made = tool({ inputSchema: z.object({}), outputSchema: z.string(), ...(more as object) })
  const toModelOutput = () => shut.pass({ type: 'text' as const, value: 'turned' })
  return { shut, tool: { ...made, toModelOutput } as typeof made }
}

function start(
  more: Parameters<typeof turning>[0],
  others: Parameters<typeof defineAgent>[0]['tools'] = {},
  store: Store = memoryStore(),
) {
  const { shut, tool: work } = turning(more)
  const model = manualModel()
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools: { work, ...others } }), { store })
  const session = runtime.session('trip')
  return { shut, model, runtime, session, heard: record(session) }
}
type Started = ReturnType<typeof start>

async function called({ session, model }: Started, ...names: readonly string[]) {
  const run = session.send('Go')
  const call = await model.next()
  for (const name of ['work', ...names]) call.toolCall(name, {}, name)
  call.finish('tool-calls')
  return run
}

const answer = ({ session }: Started, toolCallId = 'work') =>
  session.addToolOutput({ tool: toolCallId, toolCallId, output: 'yes' } as never)

const aborted = { name: 'AbortError' }
/** A task, and what it makes others do. */
const task = () => new Promise((resolve) => setTimeout(resolve))

async function expectUsable({ session, model, heard }: Started) {
  const run = session.send('And now?')
  const call = await model.next()
  expect(problemsOf(call.options.prompt)).toEqual([])
  call.finish()
  expect(await run.result).toMatchObject({ status: 'completed' })
  expectOrder(heard.events)
}

const execute = () => 'done'

const ways = [
  ['of a tool that runs in the worker', { execute }, async (started: Started) => called(started)],
  [
    'of an answer',
    {},
    async (started: Started) => {
      const run = await called(started)
      await started.heard.when('run-waiting')
      await answer(started)
      return run
    },
  ],
  [
    'of an answer that came before the run waited',
    {},
    async (started: Started) => {
      const run = await called(started)
      await started.heard.when('assistant-message-committed')
      await answer(started)
      return run
    },
  ],
] as const

describe.each(ways)('a toModelOutput that never settles, %s,', (_, more, begin) => {
  test('ends by the time-out of the tool', async () => {
    const started = start({ ...more, timeout: 20 })
    const run = await begin(started)
    const next = await started.model.next()
    expect(next.options.prompt.at(-1)).toMatchObject({
      role: 'tool',
      content: [{ toolCallId: 'work', output: { type: 'error-text', value: expect.stringMatching(/20 ms/) } }],
    })
    next.finish()
    expect(await run.result).toMatchObject({ status: 'completed' })
    await expectUsable(started)
  })

  test('ends with an abort, and nothing is told of it afterwards', async () => {
    const started = start(more)
    const run = await begin(started)
    await started.shut.reached
    run.abort()
    await expect(run.result).rejects.toMatchObject(aborted)
    expect(started.heard.kinds().at(-1)).toBe('run-cancelled')
    const heard = started.heard.events.length
    started.shut.open()
    await task()
    expect(started.heard.events).toHaveLength(heard)
    await expectUsable(started)
  })

  test('ends with a stop', async () => {
    const started = start(more)
    const run = await begin(started)
    await started.shut.reached
    expect(await run.stop()).toMatchObject({ status: 'stopped' })
    await expectUsable(started)
  })

  test('does not hold up the deletion of its session', async () => {
    const started = start(more)
    const run = await begin(started)
    await started.shut.reached
    await started.session.delete()
    await expect(run.result).rejects.toMatchObject({ name: expect.stringMatching(/Error$/) })
    expect(await started.runtime.sessions.list()).toEqual([])
    const again = started.session.send('And now?')
    ;(await started.model.next()).finish()
    expect(await again.result).toMatchObject({ status: 'completed' })
  })

  test('does not hold up the closing of its runtime', async () => {
    const started = start(more)
    const run = await begin(started)
    await started.shut.reached
    await started.runtime.close()
    await expect(run.result).rejects.toMatchObject({ code: 'closed' })
  })
})

test("a toModelOutput that never settles, of a provider's tool, ends with an abort", async () => {
  const started = start({ execute })
  const run = started.session.send('Go')
  const call = await started.model.next()
  call.write(
    { type: 'tool-call', toolCallId: 'own', toolName: 'work', input: '{}', providerExecuted: true },
    { type: 'tool-result', toolCallId: 'own', toolName: 'work', result: 'found' },
    finish('stop'),
  )
  await started.shut.reached
  run.abort()
  await expect(run.result).rejects.toMatchObject(aborted)
  const heard = started.heard.events.length
  started.shut.open()
  await task()
  expect(started.heard.events).toHaveLength(heard)
  await expectUsable(started)
})

test('an answer that is turned beside a running tool gives no event after an abort', async () => {
  const working = door()
  const slow = tool({ inputSchema: z.object({}), execute: () => working.pass('late') })
  const started = start({}, { slow })
  const run = await called(started, 'slow')
  await working.reached
  await answer(started)
  await started.shut.reached
  run.abort()
  await expect(run.result).rejects.toMatchObject(aborted)
  const heard = started.heard.events.length
  started.shut.open()
  working.open()
  await task()
  expect(started.heard.events).toHaveLength(heard)
  await expectUsable(started)
})

test('a second answer is taken while the first one is turned', async () => {
  const other = tool({ inputSchema: z.object({}), outputSchema: z.string() })
  const started = start({}, { other })
  const run = await called(started, 'other')
  await started.heard.when('run-waiting')
  await answer(started)
  await started.shut.reached
  await answer(started, 'other')
  started.shut.open()
  const next = await started.model.next()
  expect(next.options.prompt.at(-1)).toMatchObject({
    content: [{ output: { value: 'turned' } }, { output: { value: 'yes' } }],
  })
  next.finish()
  expect(await run.result).toMatchObject({ status: 'completed' })
  expectOrder(started.heard.events)
})

test('an answer that is turned as its run begins to wait is applied, and the run goes on', async () => {
  const started = start({})
  const run = await called(started)
  await started.heard.when('assistant-message-committed')
  await answer(started)
  await started.shut.reached
  await task()
  started.shut.open()
  const next = await started.model.next()
  expect(next.options.prompt.at(-1)).toMatchObject({ content: [{ output: { value: 'turned' } }] })
  next.finish()
  expect(await run.result).toMatchObject({ status: 'completed' })
  expectOrder(started.heard.events)
})

test('a run in which an answer is turned beside a running tool is stopped by another tab, too', async () => {
  const store = memoryStore()
  const working = door()
  const slow = tool({ inputSchema: z.object({}), execute: () => working.pass('late') })
  const [here, there] = [start({}, { slow }, mortal(store)), start({}, { slow }, mortal(store))]
  const run = await called(here, 'slow')
  await working.reached
  await answer(here)
  await here.shut.reached
  await there.session.stop()
  expect(await run.result).toMatchObject({ status: 'stopped' })
  await here.heard.when('run-stopped')
  expectOrder(here.heard.events)
})

test('what a tool tells after its run has ended is told nobody', async () => {
  const working = door()
  let tell = () => {}
  const late = tool({
    inputSchema: z.object({}),
    execute: (_, { progress, custom }) => {
      tell = () => {
        progress(1)
        custom('late', 2)
      }
      return working.pass('late')
    },
  })
  const started = start({ execute }, { late })
  started.shut.open()
  const run = await called(started, 'late')
  await working.reached
  await run.stop()
  const heard = started.heard.events.length
  tell()
  working.open()
  await task()
  expect(started.heard.events).toHaveLength(heard)
})
