import { createRuntime, defineAgent, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { planner, stubborn } from './agent.ts'

// #region stop
test('stops after the turn, and goes on later', async () => {
  const model = scriptedModel([reply.call('search', { city: 'Porto' }), reply.text('Hotel Porto.')])
  await using runtime = createRuntime(planner, { model, store: memoryStore() })
  const run = runtime.session('trip').send('A hotel in Porto?')
  run.on('tool-execution-started', () => void run.stop({ after: 'turn' })) // the call finishes first
  expect(await run.result).toMatchObject({ status: 'stopped', reason: 'requested', turns: 1 })
  const { status, text } = await runtime.runs.resume(run.runId).result // in any tab, also after a reload
  expect({ status, text }).toEqual({ status: 'completed', text: 'Hotel Porto.' })
})
// #endregion

// #region extend
test('asks before it goes beyond its turns', async () => {
  const search = reply.call('search', { city: 'Porto' })
  const model = scriptedModel([search, reply.text('Hotel Porto.')])
  await using runtime = createRuntime(planner, { model, store: memoryStore() })
  const run = runtime.session('trip').send('A hotel in Porto?', { limits: { maxTurns: 1 } })
  run.on('approval-requested', ({ approval }) => {
    // approval.limit is 'maxTurns', approval.used and approval.cap are 1
    if (approval.reason === 'budget') void runtime.approvals.answer(approval, { decision: 'extend', by: 5 })
  })
  const { status, text, turns } = await run.result
  expect({ status, text, turns }).toEqual({ status: 'completed', text: 'Hotel Porto.', turns: 2 })
})
// #endregion

// #region cost
test('knows what a run and its session have cost', async () => {
  const model = scriptedModel([reply.text('Hello.')], {
    modelId: 'gpt-5-mini',
    usage: { inputTokens: 1_000_000, cachedInputTokens: 200_000, outputTokens: 100_000 },
  })
  await using runtime = createRuntime(planner, { model, store: memoryStore() })
  const session = runtime.session('trip')
  const { cost } = await session.send('Hi').result
  expect(cost).toBeCloseTo(0.8 * 0.25 + 0.2 * 0.025 + 0.1 * 2)
  const { usage, cost: sessionCost } = await session.view.ready
  expect(usage.inputTokens).toBe(1_000_000)
  expect(sessionCost).toBe(cost)
})
// #endregion

// #region failures
test('goes on without a price that can not be had', async () => {
  const fetched = vi.fn(async () => new Response(null, { status: 503 }))
  vi.stubGlobal('fetch', fetched)
  onTestFinished(() => void vi.unstubAllGlobals())
  const model = scriptedModel([reply.call('prices', { hotel: 'Porto' }), reply.text('I do not know its price.')])
  await using runtime = createRuntime(stubborn, { model, store: memoryStore(), sleep: async () => {} })
  await runtime.session('trip').send('What does it cost?').result
  expect(fetched).toHaveBeenCalledTimes(3)
  expect(model.calls[1]?.prompt.at(-1)).toMatchObject({ content: [{ output: { value: 'not known' } }] })
})
// #endregion

// #region retries
test('asks again after a failure that may pass', async () => {
  const model = scriptedModel([reply.fail(500), reply.drop('Hel'), reply.text('Hello.')])
  await using runtime = createRuntime(planner, { model, store: memoryStore(), sleep: async () => {} })
  const run = runtime.session('trip').send('Hi')
  const retried: string[] = []
  run.on('model-retried', ({ attempt, error }) => void retried.push(`${attempt}: ${error.code}`))
  expect((await run.result).text).toBe('Hello.')
  expect(retried).toEqual(['1: overloaded', '2: model-interrupted'])
})
// #endregion

// #region offline
test('waits for the network, and tries again', async () => {
  vi.stubGlobal('navigator', { onLine: false })
  let time = Date.now()
  const sleep = async (ms: number) => {
    time += ms // nobody waits
  }
  const refused = () => Promise.reject(new TypeError('Failed to fetch'))
  const model = scriptedModel([refused, reply.text('Hello.')])
  await using runtime = createRuntime(planner, { model, store: memoryStore(), now: () => time, sleep })
  const run = runtime.session('trip').send('Hi')
  const waits: string[] = []
  run.on('run-waiting', ({ waitingFor }) => void waits.push(waitingFor))
  expect((await run.result).text).toBe('Hello.')
  expect(waits).toEqual(['offline'])
  vi.unstubAllGlobals()
})
// #endregion

// #region steer
test('hears in mid-run what is said to it', async () => {
  const model = scriptedModel([reply.call('search', { city: 'Porto' }), reply.text('Two beds, then.')])
  await using runtime = createRuntime(planner, { model, store: memoryStore() })
  const session = runtime.session('trip')
  const run = session.send('A hotel in Porto?')
  run.on('tool-execution-started', () => {
    session.send('With two beds, please', { whenBusy: 'steer' }) // said to the run, heard at its next turn
    session.send('And in Lisbon?') // queued: a run of its own, once this one has ended
  })
  expect((await run.result).text).toBe('Two beds, then.')
  expect(model.calls[1]?.prompt.at(-1)).toMatchObject({ content: [{ text: 'With two beds, please' }] })
})
// #endregion

// #region withdraw
test('takes back what nobody has heard yet', async () => {
  const model = scriptedModel([reply.hang()])
  await using runtime = createRuntime(planner, { model, store: memoryStore() })
  const session = runtime.session('trip')
  const run = session.send('A hotel in Porto?')
  await new Promise<void>((resolve) => run.on('model-started', () => resolve()))
  const { inputId, delivered } = await run.steer('With two beds, please') // stored, and in the view's `queue`
  expect(await session.withdraw(inputId)).toBe(true)
  await expect(delivered).rejects.toMatchObject({ name: 'AbortError' })
  run.abort()
})
// #endregion

// #region open
test('keeps a run open between inputs', async () => {
  const model = scriptedModel([reply.text('Hello.'), reply.text('Sunny.')])
  await using runtime = createRuntime(planner, { model, store: memoryStore() })
  const session = runtime.session('trip')
  await using run = session.open({ idleTimeout: 30 * 60_000 })
  await (await run.steer('Hi')).delivered
  await (await run.steer('How is the weather?')).delivered
  const { status, text, turns } = await run.close() // once everything is answered
  expect({ status, text, turns }).toEqual({ status: 'completed', text: 'Sunny.', turns: 2 })
})
// #endregion

// #region ask
test('gives the text alone', async () => {
  const model = scriptedModel([reply.text('Porto.')])
  await using runtime = createRuntime(planner, { model, store: memoryStore() })
  expect(await runtime.session().ask('Where to?', { signal: AbortSignal.timeout(10_000) })).toBe('Porto.')
})
// #endregion

// #region step
test('is driven turn by turn, and hands its calls out', async () => {
  const model = scriptedModel([reply.call('search', { city: 'Porto' }), reply.text('Hotel Ribeira.')])
  await using runtime = createRuntime(planner, { model, store: memoryStore() })
  const session = runtime.session('trip')
  const first = await session.step('A hotel in Porto?', { tools: 'external' })
  expect(first).toMatchObject({ status: 'pending-tool-calls', toolCalls: [{ toolName: 'search' }] })
  for (const { toolCallId } of first.toolCalls) {
    await session.addToolOutput({ tool: 'search', toolCallId, output: ['Hotel Ribeira'] })
  }
  expect(await session.step()).toMatchObject({ status: 'done', text: 'Hotel Ribeira.' })
})
// #endregion

// #region rewind
test('edits a message, and gives an answer anew', async () => {
  const model = scriptedModel([reply.text('In Porto.'), reply.text('In Lisbon.'), reply.text('In Lisbon, of course.')])
  await using runtime = createRuntime(planner, { model, store: memoryStore() })
  const session = runtime.session('trip')
  await session.send('A hotel in Porto?').result
  const [question] = (await session.view.ready).messages
  await session.send('A hotel in Lisbon?', { replaces: question?.id }).result
  await session.regenerate().result
  const texts = (messages: Awaited<ReturnType<typeof session.history>>) =>
    messages.map(({ parts: [part] }) => (part?.type === 'text' ? part.text : ''))
  expect(texts((await session.view.ready).messages)).toEqual(['A hotel in Lisbon?', 'In Lisbon, of course.'])
  expect(texts((await session.history()).filter(({ metadata }) => metadata.hidden))).toEqual([
    'A hotel in Porto?',
    'In Porto.',
    'In Lisbon.',
  ])
})
// #endregion

// #region once
test('runs a request once, whoever repeats it', async () => {
  const model = scriptedModel([reply.text('Booked.')])
  await using runtime = createRuntime(planner, { model, store: memoryStore() })
  const session = runtime.session('trip')
  const clientRequestId = 'order-17' // stored by the app before it sends
  const first = await session.send('Book it', { clientRequestId }).result
  const again = await session.send('Book it', { clientRequestId }).result // after a reload, say
  expect(again).toEqual(first)
  expect(model.calls).toHaveLength(1)
})
// #endregion

// #region context
test('summarises older messages when the window is nearly full', async () => {
  const long = 'Many words about Porto. '.repeat(40)
  const chatty = defineAgent({
    name: 'chatty',
    model: planner.model,
    context: { window: 1000, keep: 100, summarise: (messages) => `${messages.length} messages about Porto` },
  })
  const model = scriptedModel(Array.from({ length: 8 }, () => reply.text(long)))
  await using runtime = createRuntime(chatty, { model, store: memoryStore() })
  const session = runtime.session('trip')
  const compacted: number[] = []
  session.on('context-compacted', ({ tokensBefore, tokensAfter }) => void compacted.push(tokensBefore - tokensAfter))
  for (let turn = 0; turn < 8; turn++) await session.send(`More, please (${turn})`).result
  expect(compacted.length).toBeGreaterThan(0)
  expect(compacted.every((saved) => saved > 0)).toBe(true)
  expect(await session.history()).toHaveLength(16) // nothing of it is gone
})
// #endregion

// #region remember
test('remembers what it was told, from turn to turn', async () => {
  const model = scriptedModel([reply.call('note', { preference: 'two beds' }), reply.text('Noted.')])
  await using runtime = createRuntime(planner, { model, store: memoryStore() })
  await runtime.session('trip').send('I always need two beds').result
  const [before, after] = model.calls.map(({ prompt: [system] }) => system?.content)
  expect(before).toBe('You plan trips.')
  expect(after).toBe('You plan trips.\nThe traveller prefers: two beds')
})
// #endregion

// #region loop
test('asks before the model repeats itself for ever', async () => {
  const again = reply.call('search', { city: 'Porto' })
  const model = scriptedModel([again, again, again, reply.text('I found nothing new.')])
  await using runtime = createRuntime(planner, { model, store: memoryStore() })
  const run = runtime.session('trip').send('Find me a hotel')
  run.on('approval-requested', ({ approval }) => {
    if (approval.reason !== 'doom-loop') return
    void runtime.approvals.answer(approval, { decision: 'deny', reason: 'You have this already. Answer.' })
  })
  expect((await run.result).text).toBe('I found nothing new.')
})
// #endregion
