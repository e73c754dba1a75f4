import type { LanguageModelV4Prompt } from '@ai-sdk/provider'
import { createRuntime, defineAgent, indexedDbStore, memoryStore, type Store, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import type { Message, Session } from '../../src/api/public-types.ts'
import type { MessageRecord } from '../../src/sessions/records.ts'
import type { ScriptedTurn } from '../../src/testing/scripted-model.ts'
import { changeOf, claimed, sessionRecord, userMessage } from '../sessions/fixtures.ts'
import { problemsOf } from './check-prompt.ts'
import { manualModel } from './manual-model.ts'
import { answer, expectOrder, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

const work = tool({ inputSchema: z.object({}), execute: () => 'worked' })
const form = tool({ inputSchema: z.object({}), outputSchema: z.string() })

/** A runtime whose model answers with these, then with `answer 1`, `answer 2` … */
function start(
  store: Store = memoryStore(),
  turns: readonly ScriptedTurn[] = [],
  options: Pick<AgentDefinition, 'resume'> = {},
) {
  const prompts: LanguageModelV4Prompt[] = []
  const more = Array.from({ length: 80 }, (_, i) => reply.text(`answer ${i + 1}`))
  const model = scriptedModel(
    [...turns, ...more].map((turn) => async (call) => {
      prompts.push(call.prompt)
      return typeof turn === 'function' ? turn(call) : turn
    }),
  )
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools: { work, form }, ...options }), { store })
  const session = runtime.session('trip')
  return { runtime, session, heard: record(session), prompts }
}

/** A call and its result, as two messages from `index` on. */
function workedTurn(index: number): MessageRecord[] {
  const base = { v: 1 as const, runId: 'run', turn: 1, agent: 'assistant', at: 1 }
  const call = { toolCallId: `call ${index}`, toolName: 'work' }
  const result = {
    ...call,
    outcome: 'success',
    output: 'worked',
    modelOutput: { type: 'text', value: 'worked' },
  } as const
  return [
    {
      ...base,
      id: `m${index}`,
      index,
      role: 'assistant',
      parts: [{ ...call, type: 'tool-call', input: {} }],
      status: 'done',
    },
    { ...base, id: `m${index + 1}`, index: index + 1, role: 'tool', results: [result] },
  ]
}

const textOf = ({ parts }: Pick<Message, 'parts'>) => parts.map((part) => ('text' in part ? part.text : '')).join('')
const textsOf = (messages: readonly Message[]) => messages.map(textOf)
const shown = async (session: Pick<Session, 'view'>) => textsOf((await session.view.ready).messages)
const said = (prompt: LanguageModelV4Prompt | undefined) =>
  prompt?.map(({ role, content }) =>
    typeof content === 'string' || role === 'tool'
      ? role
      : content.map((part) => ('text' in part ? part.text : part.type)).join(),
  )

/** All messages, the hidden ones in brackets. */
const whole = async (session: Pick<Session, 'history'>) =>
  (await session.history()).map((message) => (message.metadata.hidden ? `(${textOf(message)})` : textOf(message)))

/** A message of the view, by its text. */
async function messageOf(session: Pick<Session, 'view'>, text: string) {
  const message = (await session.view.ready).messages.find((shown) => textOf(shown) === text)
  if (!message) throw new Error(`No message says ${text}`)
  return message
}

/** Two questions with their answers. */
async function talked(store?: Store) {
  const started = start(store)
  await started.session.send('first').result
  await started.session.send('second').result
  return started
}

const stores = [
  ['in memory', () => memoryStore()],
  ['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
] as const

for (const [where, makeStore] of stores) {
  describe(`an input that replaces one, ${where}`, () => {
    test('hides that message and all after it, and runs as any other', async () => {
      const { session, prompts, heard } = await talked(makeStore())
      const { id } = await messageOf(session, 'first')
      const output = await session.send('edited', { replaces: id }).result
      expect(output).toMatchObject({ status: 'completed', text: 'answer 3', turns: 1 })
      expect(prompts.map(said)).toEqual([['first'], ['first', 'answer 1', 'second'], ['edited']])
      expect(await shown(session)).toEqual(['edited', 'answer 3'])
      expect(await session.view.ready).toMatchObject({ hasOlder: false })
      expect(await whole(session)).toEqual(['(first)', '(answer 1)', '(second)', '(answer 2)', 'edited', 'answer 3'])
      expect(heard.of('history-rewound')).toMatchObject([{ messageId: id, runId: output.runId }])
      expect(heard.kinds().slice(heard.kinds().lastIndexOf('run-started')).slice(0, 5)).toEqual([
        'run-started',
        'history-rewound',
        'input-delivered',
        'user-message-committed',
        'checkpoint-saved',
      ])
      expectOrder(heard.events)
    })

    test('in the middle keeps what was before it, also for the runs that follow', async () => {
      const { session, prompts } = await talked(makeStore())
      await session.send('edited', { replaces: (await messageOf(session, 'second')).id }).result
      await session.send('third').result
      expect(said(prompts.at(-1))).toEqual(['first', 'answer 1', 'edited', 'answer 3', 'third'])
      expect(prompts.flatMap(problemsOf)).toEqual([])
      await session.send('edited again', { replaces: (await messageOf(session, 'edited')).id }).result
      expect(said(prompts.at(-1))).toEqual(['first', 'answer 1', 'edited again'])
      expect(await shown(session)).toEqual(['first', 'answer 1', 'edited again', 'answer 5'])
    })

    test('is remembered by the next runtime', async () => {
      const store = makeStore()
      const { session, runtime } = await talked(mortal(store))
      await session.send('edited', { replaces: (await messageOf(session, 'second')).id }).result
      await runtime.close()
      const again = start(store)
      expect(await shown(again.session)).toEqual(['first', 'answer 1', 'edited', 'answer 3'])
      await again.session.send('third').result
      expect(again.prompts.map(said)).toEqual([['first', 'answer 1', 'edited', 'answer 3', 'third']])
      expect(await whole(again.session)).toEqual([
        'first',
        'answer 1',
        '(second)',
        '(answer 2)',
        'edited',
        'answer 3',
        'third',
        'answer 1',
      ])
    })
  })

  describe(`regenerate, ${where}`, () => {
    test('answers the last message of the user anew', async () => {
      const { session, prompts, heard } = await talked(makeStore())
      const { id } = await messageOf(session, 'answer 2')
      const output = await session.regenerate().result
      expect(output).toMatchObject({ status: 'completed', text: 'answer 3' })
      expect(prompts.map(said).slice(1)).toEqual([
        ['first', 'answer 1', 'second'],
        ['first', 'answer 1', 'second'],
      ])
      expect(await shown(session)).toEqual(['first', 'answer 1', 'second', 'answer 3'])
      expect(await whole(session)).toEqual(['first', 'answer 1', 'second', '(answer 2)', 'answer 3'])
      expect(heard.of('history-rewound')).toMatchObject([{ messageId: id, runId: output.runId }])
      expect(heard.of('run-started').at(-1)).toMatchObject({ input: 'second', runId: output.runId })
      expectOrder(heard.events)
    })

    test('of an answer hides it and all after it', async () => {
      const { session, prompts } = await talked(makeStore())
      await session.regenerate((await messageOf(session, 'answer 1')).id).result
      expect(said(prompts.at(-1))).toEqual(['first'])
      expect(await shown(session)).toEqual(['first', 'answer 3'])
      await session.send('third').result
      expect(said(prompts.at(-1))).toEqual(['first', 'answer 3', 'third'])
      expect(await whole(session)).toEqual([
        'first',
        '(answer 1)',
        '(second)',
        '(answer 2)',
        'answer 3',
        'third',
        'answer 4',
      ])
    })

    test('again and again leaves one answer to be seen', async () => {
      const { session, prompts } = await talked(makeStore())
      for (let i = 0; i < 3; i++) await session.regenerate().result
      expect(await shown(session)).toEqual(['first', 'answer 1', 'second', 'answer 5'])
      expect(await whole(session)).toHaveLength(7)
      expect(said(prompts.at(-1))).toEqual(['first', 'answer 1', 'second'])
    })
  })
}

describe('regenerate', () => {
  const worked = [reply.call('work', {}), reply.all(reply.text('more'), reply.call('work', {})), reply.text('end')]

  test('of an answer in the midst of a run’s turns keeps the turns before it with their results', async () => {
    const { session, prompts } = start(memoryStore(), worked)
    await session.send('go').result
    await session.regenerate((await messageOf(session, 'more')).id).result
    expect(said(prompts.at(-1))).toEqual(['go', 'tool-call', 'tool'])
    expect(prompts.flatMap(problemsOf)).toEqual([])
    expect(await whole(session)).toEqual(['go', '', '(more)', '(end)', 'answer 1'])
  })

  test('of the first of a run’s turns hides its calls and their results, whose ids are not used again', async () => {
    const same = () => reply.call('work', {}, { toolCallId: 'the same' })
    const { session, prompts } = start(memoryStore(), [same(), reply.text('end'), same(), reply.text('other end')])
    await session.send('go').result
    const [, answered] = (await session.view.ready).messages
    await session.regenerate(answered?.id).result
    expect(prompts.flatMap(problemsOf)).toEqual([])
    expect(prompts.map(said)).toEqual([['go'], ['go', 'tool-call', 'tool'], ['go'], ['go', 'tool-call', 'tool']])
    const ids = (await session.history()).flatMap(({ parts }) =>
      parts.flatMap((part) => ('toolCallId' in part ? [part.toolCallId] : [])),
    )
    expect(ids).toHaveLength(2)
    expect(ids[0]).toBe('the same')
    expect(ids[1]).not.toBe('the same')
  })

  test('keeps those ids apart in another runtime, too', async () => {
    const same = () => reply.call('work', {}, { toolCallId: 'the same' })
    const store = memoryStore()
    const first = start(mortal(store), [same(), reply.text('end')])
    await first.session.send('go').result
    await first.session.regenerate().result
    const { session } = start(store, [same(), reply.text('end')])
    await session.send('again').result
    const calls = (await session.history()).flatMap(({ parts }) => parts.filter((part) => 'toolCallId' in part))
    expect(new Set(calls.map((part) => 'toolCallId' in part && part.toolCallId)).size).toBe(2)
  })

  test('after a failure asks again, and hides nothing where there is nothing after the input', async () => {
    const { session, prompts, heard } = start(memoryStore(), [reply.fail(400)])
    await expect(session.send('first').result).rejects.toMatchObject({ code: 'bad-request' })
    expect(await session.regenerate().result).toMatchObject({ text: 'answer 1' })
    expect(prompts.map(said)).toEqual([['first'], ['first']])
    expect(heard.of('history-rewound')).toEqual([])
    expect(await whole(session)).toEqual(['first', 'answer 1'])
  })

  test('takes another model, and settings, as send does', async () => {
    const store = memoryStore()
    const other = scriptedModel([reply.text('other')], { modelId: 'other' })
    const agent = defineAgent({ name: 'assistant', model: scriptedModel([reply.text('one')]) })
    const session = createRuntime(agent, { store, models: { other } }).session('trip')
    await session.send('first').result
    await session.regenerate(undefined, { model: 'other', settings: { temperature: 0.5 } }).result
    expect(await shown(session)).toEqual(['first', 'other'])
    expect(other.calls).toMatchObject([{ temperature: 0.5 }])
  })

  test('gives what was answered in parts anew as a whole', async () => {
    const { session, runtime, prompts, heard } = start(memoryStore(), [reply.all(reply.text('half'), reply.hang())])
    const run = session.send('first')
    await heard.when('text-delta')
    await run.stop()
    await runtime.runs.resume(run.runId).result
    expect(await shown(session)).toEqual(['first', 'half', 'answer 1'])
    await session.regenerate((await messageOf(session, 'answer 1')).id).result
    expect(prompts.map(said).at(-1)).toEqual(['first'])
    expect(await whole(session)).toEqual(['first', '(half)', '(answer 1)', 'answer 2'])
    expect(prompts.flatMap(problemsOf)).toEqual([])
  })

  test('has no input that is queued', async () => {
    const { session, heard } = await talked()
    await session.regenerate().result
    expect(heard.of('input-queued', 'input-delivered').map((event) => 'input' in event && event.input)).toEqual([
      'first',
      'first',
      'second',
      'second',
    ])
  })
})

describe('a session is not rewound', () => {
  const unknown = { code: 'unknown-message' }

  test('to a message that is unknown, hidden, or not of that kind', async () => {
    const { session, heard } = await talked()
    const { messages } = await session.view.ready
    const [first, firstAnswer] = messages
    await expect(session.send('x', { replaces: 'nothing' }).result).rejects.toMatchObject(unknown)
    await expect(session.send('x', { replaces: firstAnswer?.id ?? '' }).result).rejects.toMatchObject(unknown)
    await expect(session.regenerate('nothing').result).rejects.toMatchObject(unknown)
    await expect(session.regenerate('').result).rejects.toMatchObject(unknown)
    await expect(session.regenerate(first?.id).result).rejects.toMatchObject(unknown)
    expect(await whole(session)).toEqual(['first', 'answer 1', 'second', 'answer 2'])
    await session.regenerate(firstAnswer?.id).result
    await expect(session.regenerate(firstAnswer?.id).result).rejects.toMatchObject(unknown)
    await expect(session.send('x', { replaces: messages[2]?.id ?? '' }).result).rejects.toMatchObject(unknown)
    expect(heard.of('history-rewound')).toHaveLength(1)
    expect(await shown(session)).toEqual(['first', 'answer 3'])
  })

  test('to the message of a tool', async () => {
    const store = memoryStore()
    const { session } = start(store, [reply.call('work', {})])
    await session.send('go').result
    const [result] = (await store.readMessages('trip', {})).filter(({ role }) => role === 'tool')
    await expect(session.regenerate(result?.id).result).rejects.toMatchObject(unknown)
    await expect(session.send('x', { replaces: result?.id ?? '' }).result).rejects.toMatchObject(unknown)
  })

  test('where nothing was said, and is not made by that', async () => {
    const { session, runtime } = start()
    await expect(session.regenerate().result).rejects.toMatchObject(unknown)
    await expect(session.send('x', { replaces: 'nothing' }).result).rejects.toMatchObject(unknown)
    expect(await session.history()).toEqual([])
    expect(await runtime.sessions.list()).toEqual([])
  })

  test('with an input that no model should get', async () => {
    const { session } = await talked()
    const { id } = await messageOf(session, 'second')
    await expect(session.send(' ', { replaces: id }).result).rejects.toMatchObject({ code: 'invalid-input' })
    expect(await shown(session)).toEqual(['first', 'answer 1', 'second', 'answer 2'])
  })

  test('while a run is under way, waits, or is queued', async () => {
    const busy = { code: 'session-busy', recoverable: true }
    const { session, heard } = start(memoryStore(), [reply.text('one'), reply.call('form', {})])
    await session.send('first').result
    const { id } = await messageOf(session, 'first')
    const waiting = session.send('second')
    await expect(session.regenerate().result).rejects.toMatchObject(busy)
    await heard.when('run-waiting')
    await expect(session.regenerate().result).rejects.toMatchObject(busy)
    await expect(session.send('x', { replaces: id }).result).rejects.toMatchObject(busy)
    await expect(session.send('x', { replaces: id, whenBusy: 'queue' }).result).rejects.toMatchObject(busy)
    await waiting.stop()
    const regenerated = session.regenerate()
    await expect(session.regenerate().result).rejects.toMatchObject(busy)
    await regenerated.result
    expect(await whole(session)).toEqual(['first', 'one', 'second', '()', 'answer 1'])
  })

  test('once a stopped run was asked to go on', async () => {
    const opening = door()
    const held = hooked(memoryStore(), async (method, [change], call) => {
      const { events = [] } = (change ?? {}) as { events?: { kind: string; resumed?: boolean }[] }
      if (method === 'commit' && events.some(({ resumed }) => resumed)) await opening.pass()
      return call()
    })
    const { session, runtime, heard } = start(held, [reply.all(reply.text('half'), reply.hang())])
    const run = session.send('first')
    await heard.when('text-delta')
    await run.stop()
    const resumed = runtime.runs.resume(run.runId)
    await opening.reached
    await expect(session.regenerate().result).rejects.toMatchObject({ code: 'session-busy' })
    opening.open()
    expect(await resumed.result).toMatchObject({ status: 'completed' })
    expect(await shown(session)).toEqual(['first', 'half', 'answer 1'])
  })

  test('before the end of a run is heard, but right then', async () => {
    const { session, heard } = start(memoryStore(), [reply.all(reply.text('half'), reply.hang())])
    const run = session.send('first')
    const regenerated = new Promise((resolve) => {
      session.on('run-stopped', () => resolve(session.regenerate().result))
    })
    await heard.when('text-delta')
    await run.stop()
    expect(await regenerated).toMatchObject({ text: 'answer 1' })
  })

  test('once another run has begun after it was asked for: it fails, and changes nothing', async () => {
    const store = memoryStore()
    const asked = door()
    const held = hooked(store, async (method, [, , input], call) => {
      const { replaces } = (input as { request?: { replaces?: string } } | undefined)?.request ?? {}
      if (method === 'say' && replaces !== undefined) await asked.pass()
      return call()
    })
    const { session } = await talked(held)
    const { id } = await messageOf(session, 'second')
    const edit = session.send('edited', { replaces: id })
    await asked.reached
    const there = start(mortal(store))
    await there.session.send('third').result
    asked.open()
    await expect(edit.result).rejects.toMatchObject({ code: 'session-busy' })
    expect(await whole(session)).toEqual(['first', 'answer 1', 'second', 'answer 2', 'third', 'answer 1'])
    expect(await session.view.ready).toMatchObject({ status: 'error', error: { code: 'session-busy' }, queue: [] })
    const all = record(session, { since: 0 })
    await all.when('run-failed')
    expectOrder(all.events)
    expect(await session.regenerate().result).toMatchObject({ status: 'completed' })
  })

  test('where its input is withdrawn before it began', async () => {
    const store = memoryStore()
    const saying = door()
    const held = hooked(store, async (method, [, , input], call) => {
      const { replaces } = (input as { request?: { replaces?: string } } | undefined)?.request ?? {}
      if (method === 'say' && replaces !== undefined) await saying.pass()
      return call()
    })
    const { session } = await talked(held)
    const edit = session.send('edited', { replaces: (await messageOf(session, 'second')).id })
    await saying.reached
    edit.abort()
    saying.open()
    await expect(edit.result).rejects.toMatchObject({ name: 'AbortError' })
    await session.send('third').result
    expect(await shown(session)).toEqual(['first', 'answer 1', 'second', 'answer 2', 'third', 'answer 3'])
  })
})

describe('a run that was stopped', () => {
  test('with calls left open is superseded by regenerate, which hides them', async () => {
    const { session, runtime, heard, prompts } = start(memoryStore(), [
      reply.all(reply.call('work', {}), reply.call('form', {})),
    ])
    const run = session.send('go')
    await heard.when('run-waiting')
    await run.stop()
    await session.regenerate().result
    expect(prompts.flatMap(problemsOf)).toEqual([])
    expect(said(prompts.at(-1))).toEqual(['go'])
    expect(await shown(session)).toEqual(['go', 'answer 1'])
    await expect(runtime.runs.resume(run.runId).result).rejects.toMatchObject({ code: 'not-resumable' })
    expectOrder(heard.events)
  })

  test('with a question that is still open has it withdrawn by the run that takes its place', async () => {
    const store = memoryStore()
    const { session, runtime } = await talked(store)
    const claim = await store.claim('trip')
    const state = await store.readSession('trip', { messages: 0 })
    if (!claim || !state?.run) throw new Error('There is no run.')
    const question = {
      v: 1,
      id: 'question',
      sessionId: 'trip',
      runId: state.run.runId,
      path: ['assistant'],
      title: 'More?',
      askedAt: 1,
      reason: 'budget',
      limit: 'maxTurns',
      used: 1,
      cap: 1,
    } as const
    await store.commit({
      id: 'asks',
      sessionId: 'trip',
      epoch: claim.epoch,
      session: state.session,
      events: [],
      approvals: [question],
    })
    claim.release()
    expect(await runtime.approvals.ready).toHaveLength(1)
    const heard = record(session)
    await session.regenerate().result
    expect(heard.of('approval-resolved')).toMatchObject([{ approvalId: 'question', answer: { decision: 'withdrawn' } }])
    expect(await store.readApprovals()).toEqual([])
  })

  test('in mid-answer is regenerated whole', async () => {
    const { session, heard, prompts } = start(memoryStore(), [reply.all(reply.text('half'), reply.hang())])
    const run = session.send('first')
    await heard.when('text-delta')
    await run.stop()
    await session.regenerate().result
    expect(said(prompts.at(-1))).toEqual(['first'])
    expect(await whole(session)).toEqual(['first', '(half)', 'answer 1'])
  })
})

describe('a run whose runtime died', () => {
  test('and that waits for a person is superseded, and what it had written can be regenerated by its id', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const model = manualModel()
    const first = createRuntime(defineAgent({ name: 'assistant', model, resume: 'ask' }), { store: alive })
    first.session('trip').send('first')
    const call = await model.next()
    call.text('Half')
    const drafted = async () => (await store.readSession('trip', { messages: 0 }))?.draft?.message.parts
    await expect.poll(drafted).toHaveLength(1)
    alive.die()
    const { session, prompts } = start(store, [], { resume: 'ask' })
    const half = await messageOf(session, 'Half')
    await session.regenerate(half.id).result
    expect(prompts.map(said)).toEqual([['first']])
    expect(await whole(session)).toEqual(['first', '(Half)', 'answer 1'])
    const all = record(session, { since: 0 })
    await all.when('run-completed')
    expect(all.of('run-cancelled')).toMatchObject([{ reason: 'superseded' }])
    expectOrder(all.events)
  })

  test('right after it had rewound the session goes on from there', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const rewound = hooked(alive, async (method, [change], call) => {
      const result = await call()
      const { events = [] } = (change ?? {}) as { events?: { kind: string }[] }
      if (method === 'commit' && events.some(({ kind }) => kind === 'history-rewound')) alive.die()
      return result
    })
    await (await talked(mortal(store))).runtime.close()
    const first = start(rewound)
    const { id } = await messageOf(first.session, 'first')
    first.session.send('edited', { replaces: id })
    const { session, prompts, heard } = start(store)
    await heard.when('run-completed')
    expect(prompts.map(said)).toEqual([['edited']])
    expect(await whole(session)).toEqual(['(first)', '(answer 1)', '(second)', '(answer 2)', 'edited', 'answer 1'])
    const all = record(session, { since: 0 })
    await all.nth(3, 'run-completed')
    expect(all.of('history-rewound')).toMatchObject([{ messageId: id }])
    expectOrder(all.events)
  })

  test('right before that does it in another runtime', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const before = hooked(alive, async (method, [change], call) => {
      const { events = [] } = (change ?? {}) as { events?: { kind: string }[] }
      if (method === 'commit' && events.some(({ kind }) => kind === 'history-rewound')) alive.die()
      return call()
    })
    await (await talked(mortal(store))).runtime.close()
    const first = start(before)
    await first.session.view.ready
    first.session.regenerate()
    await expect.poll(() => store.readInbox('trip')).toHaveLength(1)
    const { session, prompts, heard } = start(store)
    expect(await session.view.ready).toMatchObject({ queue: [] })
    await heard.when('run-completed')
    expect(prompts.map(said)).toEqual([['first', 'answer 1', 'second']])
    expect(await whole(session)).toEqual(['first', 'answer 1', 'second', '(answer 2)', 'answer 1'])
  })
})

describe('what was hidden', () => {
  test('still gives the output of its run, and its events to who listens from the beginning', async () => {
    const store = memoryStore()
    const { session } = start(mortal(store))
    const run = session.send('first')
    await run.result
    await session.regenerate().result
    const there = start(mortal(store))
    expect(await there.runtime.runs.get(run.runId).result).toMatchObject({ text: 'answer 1' })
    const all = record(there.session, { since: 0 })
    await all.nth(2, 'run-completed')
    expect(all.of('assistant-message-committed').map(({ message }) => textOf(message))).toEqual([
      'answer 1',
      'answer 2',
    ])
    expectOrder(all.events)
  })

  test('stays in the usage of the session', async () => {
    const usage = reply.finish({ usage: { inputTokens: 5, outputTokens: 2 } })
    const { session } = start(memoryStore(), [reply.all(reply.text('one'), usage), reply.all(reply.text('two'), usage)])
    await session.send('first').result
    await session.regenerate().result
    expect((await session.view.ready).usage).toMatchObject({ inputTokens: 10, outputTokens: 4 })
  })

  test('does not count in the list of sessions', async () => {
    const { session, runtime } = await talked()
    await session.regenerate().result
    expect(await runtime.sessions.list()).toMatchObject([{ messageCount: 4 }])
  })

  test('is read whole, calls with their results, however long the session is', async () => {
    const store = memoryStore()
    const claim = await claimed(store, 'trip')
    const turns = Array.from({ length: 700 }, (_, i) => workedTurn(2 * i + 1)).flat()
    await store.commit(
      changeOf(claim, {
        messages: [userMessage(0, 'go'), ...turns],
        session: sessionRecord('trip', { messageCount: 1401, hidden: [[3, 1001]] }),
      }),
    )
    claim.release()
    const { session } = start(store)
    const messages = await session.history()
    expect(messages.map(({ id }) => id)).toEqual(['m0', ...Array.from({ length: 700 }, (_, i) => `m${2 * i + 1}`)])
    for (const [i, { metadata, parts }] of messages.entries()) {
      expect(metadata.hidden).toBe(i >= 2 && i <= 500 ? true : undefined)
      if (i > 0) expect(parts).toMatchObject([{ state: 'output-available', output: 'worked' }])
    }
  })

  test('is passed over by whoever looks for older messages', async () => {
    const { session } = start()
    await session.send('first').result
    await session.send('second').result
    const second = await messageOf(session, 'second')
    for (let i = 0; i < 30; i++) await session.send(`more ${i}`).result
    await session.send('edited', { replaces: second.id }).result
    for (let i = 0; i < 24; i++) await session.send(`again ${i}`).result
    const leave = session.view.subscribe(() => {})
    onTestFinished(leave)
    expect(await session.view.ready).toMatchObject({ hasOlder: true })
    await session.view.loadOlder()
    const { messages, hasOlder } = session.view.getSnapshot()
    expect(hasOlder).toBe(false)
    expect(textsOf(messages).slice(0, 5)).toEqual(['first', 'answer 1', 'edited', 'answer 33', 'again 0'])
    expect(messages).toHaveLength(52)
  })
})

describe('another tab', () => {
  test('sees the session rewound, and can rewind it itself', async () => {
    const store = memoryStore()
    const here = await talked(mortal(store))
    const there = start(mortal(store))
    const leave = there.session.view.subscribe(() => {})
    onTestFinished(leave)
    await there.session.view.ready
    await here.session.send('edited', { replaces: (await messageOf(here.session, 'first')).id }).result
    await there.heard.when('run-completed')
    await expect.poll(() => textsOf(there.session.view.getSnapshot().messages)).toEqual(['edited', 'answer 3'])
    await there.session.regenerate().result
    await here.heard.nth(4, 'run-completed')
    expect(await shown(here.session)).toEqual(['edited', 'answer 1'])
    expect(await whole(here.session)).toEqual(await whole(there.session))
  })

  test('that asks for the same is refused or rewinds what is there then, but never what it did not see', async () => {
    const store = memoryStore()
    const tabs = [await talked(mortal(store)), start(mortal(store))] as const
    for (const { session } of tabs) await session.view.ready
    const results = await Promise.allSettled(tabs.map(({ session }) => session.regenerate().result))
    const refused = results.filter((result) => result.status === 'rejected')
    expect(refused).toHaveLength(1)
    expect(refused[0]?.reason).toMatchObject({ code: 'session-busy' })
    expect(await whole(tabs[0].session)).toEqual(['first', 'answer 1', 'second', '(answer 2)', expect.any(String)])
  })

  test('with a question put about the run answers in vain once it was superseded', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const cut = start(alive, [reply.hang()], { resume: 'ask' })
    cut.session.send('first')
    await cut.heard.when('model-started')
    alive.die()
    const { session, runtime } = start(store, [], { resume: 'ask' })
    await session.view.ready
    const [approval] = await expect
      .poll(() => runtime.approvals.ready)
      .toHaveLength(1)
      .then(() => runtime.approvals.ready)
    await session.regenerate().result
    await expect(answer(runtime, approval, { decision: 'resume' })).rejects.toMatchObject({ code: 'unknown-approval' })
    expect(await shown(session)).toEqual(['first', 'answer 1'])
  })
})
