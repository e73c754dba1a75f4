import { createRuntime, indexedDbStore, memoryStore, type Store } from 'turnloop/runtime'
import { reply, type ScriptedTurn, scriptedModel } from 'turnloop/testing'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import document from '../../docs/durability.md?raw'
import { clerk } from '../../docs/examples/clerk/agent.worker.ts'
import { showQuestions } from '../../docs/examples/clerk/questions.ts'
import { waitFor } from '../wait-for.ts'
import { codeWords, tableRows } from './markdown.ts'

afterEach(() => vi.unstubAllGlobals())

/** Leaves a run as a closed tab does: a letter had begun to be posted. */
async function cutOff(store: Store) {
  const posted = vi.fn(() => new Promise<Response>(() => {}))
  vi.stubGlobal('fetch', posted)
  const model = scriptedModel([reply.call('post_letter', { text: 'Dear customer' })])
  const runtime = createRuntime(clerk, { model, store })
  const { runId } = runtime.session('counter').send('Write to the customer')
  await waitFor(() => expect(posted).toHaveBeenCalledOnce())
  await runtime.close()
  return { runId, posted }
}

/** The next page, with its list of questions. */
function open(store: Store, turns: ScriptedTurn[], now = Date.now, agent = clerk) {
  const model = scriptedModel(turns)
  const runtime = createRuntime(agent, { model, store, now })
  onTestFinished(() => runtime.close())
  const list = window.document.createElement('ul')
  onTestFinished(showQuestions(runtime, list))
  const asked = () => waitFor(() => list.querySelector('li') ?? expect.unreachable())
  const press = (label: string) =>
    [...list.querySelectorAll('button')].find(({ textContent }) => textContent === label)?.click()
  return { runtime, model, list, asked, press }
}

const charge = reply.call('charge', { order: 'o-1', cents: 100 })
/** A service that takes every charge. */
function charging() {
  const charged = vi.fn(async () => Response.json({ receipt: 'r-1' }))
  vi.stubGlobal('fetch', charged)
  return charged
}

const toolResult = (model: ReturnType<typeof scriptedModel>) =>
  model.calls[0]?.prompt.findLast(({ role }) => role === 'tool')

describe('the questions of the example', () => {
  it('ask about a call that was cut off, which is not started again before the answer', async () => {
    const store = memoryStore()
    const { runId, posted } = await cutOff(store)
    const { runtime, list, asked, press } = open(store, [reply.text('It is on its way.')])
    expect((await asked()).textContent).toMatch(/^“post_letter” had started and was cut off/)
    expect((await runtime.session('counter').view.ready).run).toMatchObject({
      phase: 'waiting',
      waitingFor: 'approval',
    })
    expect(posted).toHaveBeenCalledOnce()

    posted.mockImplementation(async () => Response.json({ letter: 'l-2' }))
    press('Run it again')
    expect((await runtime.runs.get(runId).result).text).toBe('It is on its way.')
    expect(posted).toHaveBeenCalledTimes(2)
    await waitFor(() => expect(list.children).toHaveLength(0))
  })

  it('take the result of a call from who knows it, if it fits the tool', async () => {
    const store = memoryStore()
    const { runId, posted } = await cutOff(store)
    const { runtime, model, list, asked, press } = open(store, [reply.text('It is on its way.')])
    await asked()
    const field = list.querySelector('input') ?? expect.unreachable()
    field.value = 'l-1'
    press('It was posted')
    await runtime.runs.get(runId).result
    expect(toolResult(model)).toMatchObject({ content: [{ output: { value: { letter: 'l-1' } } }] })
    expect(posted).toHaveBeenCalledOnce()
  })

  it('tell the model that nobody knows, where somebody gives up', async () => {
    const store = memoryStore()
    const { runId, posted } = await cutOff(store)
    const { runtime, model, asked, press } = open(store, [reply.text('I do not know.')])
    await asked()
    press('Give up')
    await runtime.runs.get(runId).result
    expect(toolResult(model)).toMatchObject({ content: [{ output: { value: expect.stringMatching(/unknown/) } }] })
    expect(posted).toHaveBeenCalledOnce()
  })

  it('ask whether a run goes on that was interrupted a minute ago', async () => {
    const later = () => Date.now() + 61_000
    for (const [label, end] of [
      ['Go on', { status: 'completed', text: 'Hello.' }],
      ['Give up', { name: 'AbortError' }],
    ] as const) {
      const store = memoryStore()
      const first = createRuntime(clerk, { model: scriptedModel([reply.hang()]), store })
      const { runId } = first.session('counter').send('Hello')
      await new Promise<void>((resolve) => first.on('model-started', () => resolve()))
      await first.close()
      const { runtime, asked, press } = open(store, [reply.text('Hello.')], later)
      expect((await asked()).textContent).toMatch(/^Go on with the interrupted answer/)
      press(label)
      expect(await runtime.runs.get(runId).result.catch((error) => error)).toMatchObject(end)
    }
  })

  it('ask whether a run goes beyond its limit', async () => {
    for (const [label, end] of [
      ['Go on', { status: 'completed', text: 'Charged.' }],
      ['Stop', { status: 'stopped', reason: 'max-turns' }],
    ] as const) {
      charging()
      const limited = { ...clerk, limits: { maxTurns: 1 }, onLimit: 'ask' as const }
      const { runtime, asked, press } = open(memoryStore(), [charge, reply.text('Charged.')], Date.now, limited)
      const run = runtime.session('counter').send('Charge it')
      expect((await asked()).textContent).toMatch(/has come to its limit/)
      press(label)
      expect(await run.result).toMatchObject(end)
    }
  })

  it('ask about a model that repeats itself', async () => {
    for (const [label, end, calls] of [
      ['Let it', { status: 'completed', text: 'Well.' }, 3],
      ['Refuse', { status: 'completed', text: 'Well.' }, 2],
      ['Give up', { name: 'AbortError' }, 2],
    ] as const) {
      const charged = charging()
      const turns = [charge, charge, charge, reply.text('Well.')]
      const { runtime, asked, press } = open(memoryStore(), turns)
      const run = runtime.session('counter').send('Charge it')
      expect((await asked()).textContent).toMatch(/3 times in a row/)
      press(label)
      expect(await run.result.catch((error) => error)).toMatchObject(end)
      expect(charged).toHaveBeenCalledTimes(calls)
    }
  })

  it('are in all tabs, and the second answer is refused there', async () => {
    const name = `docs-${crypto.randomUUID()}`
    const stores = [1, 2, 3].map(() => indexedDbStore({ name }))
    onTestFinished(async () => {
      for (const store of stores) await store.close()
      indexedDB.deleteDatabase(name)
    })
    const [left, one, two] = stores
    if (!left || !one || !two) return expect.unreachable()
    const { runId } = await cutOff(left)
    await left.close()
    const [here, there] = [open(one, [reply.text('Well.')]), open(two, [reply.text('Well.')])]
    await Promise.all([here.asked(), there.asked()])
    const [approval] = there.runtime.approvals.getSnapshot()
    if (!approval) return expect.unreachable()
    here.press('Give up')
    await waitFor(() => expect(there.list.children).toHaveLength(0))
    await expect(there.runtime.approvals.answer(approval, { decision: 'abandon' })).rejects.toMatchObject({
      code: 'unknown-approval',
    })
    expect((await there.runtime.runs.get(runId).result).text).toBe('Well.')
  })
})

it('an answer whose result does not fit the tool is refused, and the question stays open', async () => {
  const store = memoryStore()
  await cutOff(store)
  const { runtime, asked, list } = open(store, [])
  await asked()
  const [approval] = runtime.approvals.getSnapshot()
  if (approval?.reason !== 'in-doubt') return expect.unreachable()
  await expect(runtime.approvals.answer(approval, { decision: 'supply-result', output: 7 })).rejects.toMatchObject({
    code: 'invalid-input',
  })
  expect(list.children).toHaveLength(1)
})

describe('runtime.persist() and runtime.info', () => {
  it('say what the browser says', async () => {
    const name = `docs-${crypto.randomUUID()}`
    const store = indexedDbStore({ name })
    const runtime = createRuntime(clerk, { model: scriptedModel([]), store })
    onTestFinished(async () => {
      await runtime.close()
      await store.close()
      indexedDB.deleteDatabase(name)
    })
    onTestFinished(runtime.info.subscribe(() => {}))
    let granted = false
    vi.spyOn(navigator.storage, 'persisted').mockImplementation(async () => granted)
    vi.spyOn(navigator.storage, 'persist').mockImplementation(async () => {
      granted = true
      return granted
    })
    onTestFinished(() => void vi.restoreAllMocks())
    const { storage } = await runtime.info.ready
    expect(storage).toEqual({ persisted: false, usage: expect.any(Number), quota: expect.any(Number) })
    expect(await runtime.persist()).toBe(true)
    await waitFor(() => expect(runtime.info.getSnapshot().storage.persisted).toBe(true))
  })

  it('name the problem of a store that can not be used', async () => {
    const store = memoryStore()
    await store.close()
    const runtime = createRuntime(clerk, { model: scriptedModel([]), store })
    onTestFinished(() => runtime.close())
    const { storage } = await runtime.info.ready
    expect(storage).toMatchObject({ persisted: false, problem: { name: 'AgentError', code: 'closed' } })
  })
})

describe('docs/durability.md', () => {
  it('names the codes of a store that fails', () => {
    const codes = tableRows(document).flatMap(([cell]) => codeWords(cell).filter((word) => word.startsWith('storage-')))
    expect(codes).toEqual(['storage-full', 'storage-unavailable', 'storage-lost', 'storage-outdated'])
  })

  it('names the questions, and what they are answered with', async () => {
    const rows = tableRows(document).filter(([reason]) => /^`(in-doubt|interrupted)`$/.test(reason ?? ''))
    const told = rows.map(([reason, , answers]) => [
      codeWords(reason)[0],
      [...(answers ?? '').matchAll(/`([\w-]+)`:/g)].map(([, decision]) => decision).sort(),
    ])
    expect(told).toEqual([
      ['in-doubt', ['abandon', 'retry', 'supply-result']],
      ['interrupted', ['abandon', 'resume']],
    ])
  })
})
