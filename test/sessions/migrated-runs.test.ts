import type { LanguageModelV4Prompt } from '@ai-sdk/provider'
import { createRuntime, defineAgent, indexedDbStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { problemsOf } from '../runtime/check-prompt.ts'
import { record } from '../runtime/record.ts'
import { problemsIn } from './check-dump.ts'
import { type Dump, dump, load } from './golden/dump.ts'
import version1 from './golden/fixtures/version-1.json'
import { tools } from './golden/sessions.ts'

// The sessions of the first version, in a page of today.

const golden = version1 as unknown as Dump

let name: string
beforeEach(async () => {
  name = crypto.randomUUID()
  await load(name, golden)
})

/** The last thing that happened in the golden data, by its own clock. */
const goldenEnd = Math.max(
  ...golden.entries.flatMap(([[kind, what], value]) => (kind === 'meta' && what === 'epoch' ? [value as number] : [])),
)
const [soon, muchLater] = [goldenEnd + 60_000, goldenEnd + 24 * 3_600_000]

/** A page whose model says the same to everybody, and checks what it is asked. */
function open({ at = muchLater } = {}) {
  const problems: string[] = []
  const answer = ({ prompt }: { readonly prompt: LanguageModelV4Prompt }) => {
    problems.push(...problemsOf(prompt))
    return reply.text('Here I am.')
  }
  const model = scriptedModel(Array.from({ length: 50 }, () => answer))
  const store = indexedDbStore({ name, now: () => at })
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools }), { store, now: () => at })
  onTestFinished(async () => {
    await runtime.close()
    await store.close()
    const { version, entries } = await dump(name)
    indexedDB.deleteDatabase(name)
    expect(problems).toEqual([])
    expect(problemsIn({ version, entries })).toEqual([])
  })
  return { model, runtime, store }
}

/** What the model was told of calls, over all sessions. */
const resultsIn = ({ calls }: { readonly calls: readonly { readonly prompt: LanguageModelV4Prompt }[] }) =>
  calls.flatMap(({ prompt }) => {
    const last = prompt.at(-1)
    if (last?.role !== 'tool') return []
    return last.content.flatMap((part) => (part.type === 'tool-result' ? [[part.toolCallId, part.output]] : []))
  })

const rolesOf = async (sessionId: string) =>
  (await dump(name)).entries
    .filter(([[kind, id]]) => kind === 'message' && id === sessionId)
    .map(([, value]) => (value as { role: string }).role)

describe('a session', () => {
  test.each([
    'completed',
    'renamed',
    'failed',
    'cancelled',
    'stopped at its turns',
    'stopped with an open call',
    'stopped in mid-answer',
  ])('%o takes a new message', async (id) => {
    const before = golden.entries.filter(([[kind, sessionId]]) => kind === 'message' && sessionId === id).length
    const session = open().runtime.session(id)
    expect((await session.view.ready).messages.length).toBeGreaterThan(0)
    expect(await session.send('Are you there?').result).toMatchObject({ status: 'completed', text: 'Here I am.' })
    const roles = await rolesOf(id)
    expect(roles.length).toBeGreaterThanOrEqual(before + 2)
    expect(roles.slice(-2)).toEqual(['user', 'assistant'])
  })

  test('tells its whole log to whoever asks for it', async () => {
    const all = record(open().runtime.session('completed'), { since: 0 })
    await all.nth(3, 'run-completed')
    expect(all.of('run-completed').map(({ runId }) => runId)).toEqual(['completed 1', 'completed 15', 'completed 33'])
    expect(all.of('tool-execution-finished').map(({ toolCallId, outcome }) => [toolCallId, outcome])).toEqual([
      ['porto', 'success'],
      ['lisbon', 'success'],
      ['broken', 'failure'],
      ['faro', 'success'],
    ])
  })
})

describe('a run that waits', () => {
  test('takes its answer, and goes on', async () => {
    const { runtime, model } = open()
    const session = runtime.session('waiting')
    expect(await session.view.ready).toMatchObject({ run: { phase: 'waiting', waitingFor: 'tool-results' } })
    await session.addToolOutput({ tool: 'pickDate', toolCallId: 'date', output: 'tomorrow' })
    expect(await runtime.runs.get('waiting 1').result).toMatchObject({ text: 'Here I am.', turns: 2 })
    expect(resultsIn(model)).toContainEqual(['date', { type: 'text', value: 'tomorrow' }])
    expect(resultsIn(model)).toContainEqual(['porto', { type: 'json', value: { city: 'Porto', celsius: 21 } }])
  })

  test('goes on with the answer that nobody has heard', async () => {
    const { runtime } = open()
    await runtime.sessions.list()
    expect(await runtime.runs.get('answered while nobody was there 1').result).toMatchObject({ status: 'completed' })
  })
})

describe('a run that was stopped resumes', () => {
  test.each([
    ['stopped at its turns', ['user', 'assistant', 'tool', 'assistant']],
    ['stopped in mid-answer', ['user', 'assistant', 'assistant']],
  ])('where it stood: %s', async (id, roles) => {
    const { runtime } = open()
    expect(await runtime.runs.resume(`${id} 1`).result).toMatchObject({ status: 'completed', text: 'Here I am.' })
    expect(await rolesOf(id)).toEqual(roles)
    expect(await openRun(`${id} 1`)).toMatchObject({ leg: 2, status: 'completed' })
  })

  test('and waits again for the call that is open', async () => {
    const { runtime } = open()
    const session = runtime.session('stopped with an open call')
    const heard = record(session)
    const run = runtime.runs.resume('stopped with an open call 1')
    await heard.when('run-waiting')
    await session.addToolOutput({ tool: 'pickDate', toolCallId: 'date', output: 'tomorrow' })
    expect(await run.result).toMatchObject({ status: 'completed' })
  })
})

const openRun = async (runId: string) =>
  (await dump(name)).entries.find(([[kind, id]]) => kind === 'run' && id === runId)?.[1]

describe('a run that was interrupted', () => {
  test('goes on by itself, where that was not long ago', async () => {
    const { runtime } = open({ at: soon })
    await runtime.sessions.list()
    for (const id of ['interrupted in the first answer', 'interrupted in a later answer', 'interrupted with a queue']) {
      expect(await runtime.runs.get(`${id} 1`).result, id).toMatchObject({ status: 'completed', text: 'Here I am.' })
      expect(await openRun(`${id} 1`)).toMatchObject({ leg: 2 })
    }
    for (const n of [2, 3]) {
      expect(await runtime.runs.get(`interrupted with a queue ${n}`).result).toMatchObject({ status: 'completed' })
    }
    expect(await runtime.runs.get('stopped while nobody was there 1').result).toMatchObject({ status: 'stopped' })
  })

  test('asks first, where that was long ago', async () => {
    const { runtime } = open()
    await runtime.sessions.list()
    const wanted = ['in a later answer', 'in a tool', 'in the first answer', 'with a queue'].map(
      (how) => `interrupted ${how}`,
    )
    const leave = runtime.approvals.subscribe(() => {})
    await expect
      .poll(() =>
        runtime.approvals
          .getSnapshot()
          .map(({ sessionId }) => sessionId)
          .sort(),
      )
      .toEqual(wanted)
    for (const approval of runtime.approvals.getSnapshot()) expect(approval).toMatchObject({ reason: 'interrupted' })
    const first = runtime.approvals
      .getSnapshot()
      .find(({ sessionId }) => sessionId === 'interrupted in the first answer')
    if (first?.reason === 'interrupted') await runtime.approvals.answer(first, { decision: 'resume' })
    expect(await runtime.runs.get('interrupted in the first answer 1').result).toMatchObject({ text: 'Here I am.' })
    leave()
  })

  test('in a tool asks what became of the call, and does not start it again', async () => {
    const { runtime, model } = open({ at: soon })
    const session = runtime.session('interrupted in a tool')
    const heard = record(session, { since: 0 })
    await heard.when('approval-requested')
    const asked = () =>
      runtime.approvals.ready.then((open) => open.find(({ runId }) => runId === 'interrupted in a tool 7'))
    await expect.poll(asked).toMatchObject({ toolCallId: 'payment', toolName: 'pay', input: { amount: 30 } })
    const question = await asked()
    if (question?.reason !== 'in-doubt') throw new Error('It asks something else')
    await runtime.approvals.answer(question, { decision: 'supply-result', output: 'paid' })
    expect(await runtime.runs.get('interrupted in a tool 7').result).toMatchObject({ status: 'completed' })
    expect(
      heard
        .of('tool-execution-started')
        .map(({ toolCallId }) => toolCallId)
        .sort(),
    ).toEqual(['payment', 'porto'])
    expect(resultsIn(model)).toContainEqual(['payment', { type: 'text', value: 'paid' }])
  })
})
