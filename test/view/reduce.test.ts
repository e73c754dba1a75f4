import { describe, expect, test } from 'vitest'
import type { Message, MessagePart, SessionSnapshot } from '../../src/api/public-types.ts'
import { AgentError } from '../../src/errors.ts'
import { type AnyEvent, eventKinds } from '../../src/events/kinds.ts'
import { emptySession, lose, reduce, reduceAll, viewKinds } from '../../src/view/reduce.ts'
import { event, loaded, message, modelStarted, running, text, usage, userMessage } from './fixtures.ts'

const told = (snapshot: SessionSnapshot, ...events: AnyEvent[]) => events.reduce(reduce, snapshot)
const last = ({ messages }: SessionSnapshot) => messages.at(-1) as Message
const end = { turns: 1, usage: usage(1) }
const failure = new AgentError('unreachable', 'no network')
const streaming = () => told(running(), modelStarted('m1'), text('Hel', 0))
const call = { toolCallId: 'c1', toolName: 'forecast' }
const written = { messageId: 'm1', partId: '0', ...call }
const calling = () =>
  told(running(), modelStarted('m1'), event('tool-call-completed', { ...written, input: { city: 'Oslo' } }))

describe('a run', () => {
  test('begins with the model, and takes the error of the one before away', () => {
    const before = loaded({ status: 'error', error: failure })
    const now = told(before, event('run-started', { input: 'Hi' }, { turn: 3 }))
    expect(now).toEqual(
      loaded({ agent: 'assistant', status: 'submitted', run: { runId: 'r1', phase: 'model', turn: 3, owner: 'here' } }),
    )
    expect(now).not.toHaveProperty('error')
  })

  test('goes through its phases', () => {
    let now = running()
    const phase = (next: AnyEvent) => {
      now = reduce(now, next)
      return [now.run?.phase, now.run?.turn, now.status]
    }
    expect(phase(event('turn-started', {}, { turn: 2 }))).toEqual(['model', 2, 'submitted'])
    expect(phase(modelStarted('m1', { turn: 2 }))).toEqual(['model', 2, 'submitted'])
    expect(phase(text('a', 0))).toEqual(['model', 2, 'streaming'])
    expect(
      phase(event('assistant-message-committed', { message: message('m1', [{ type: 'text', text: 'a' }]) })),
    ).toEqual(['model', 2, 'submitted'])
    expect(phase(event('tool-execution-started', { ...call, input: {} }, { turn: 2 }))).toEqual([
      'tools',
      2,
      'submitted',
    ])
    expect(phase(event('run-waiting', { waitingFor: 'page' }, { turn: 2 }))).toEqual(['waiting', 2, 'submitted'])
    expect(now.run?.waitingFor).toBe('page')
    expect(phase(event('tool-message-committed', { message: message('m1', []) }, { turn: 2 }))).toEqual([
      'model',
      2,
      'submitted',
    ])
    expect(now.run).not.toHaveProperty('waitingFor')
  })

  test('that is stopping stays so to its end', () => {
    const stopping = running({}, { phase: 'stopping' })
    expect(
      told(stopping, event('turn-started', {}), event('tool-execution-started', { ...call, input: {} })).run?.phase,
    ).toBe('stopping')
    expect(told(stopping, event('run-stopped', { reason: 'requested', ...end })).run).toBeUndefined()
  })

  test.each([
    event('run-completed', { finishReason: 'stop', ...end }),
    event('run-stopped', { reason: 'requested', ...end }),
    event('run-cancelled', { reason: 'aborted', ...end }),
  ])('is gone at its end: $kind', (ended) => {
    const now = reduce(running(), ended)
    expect(now.status).toBe('ready')
    expect(now).not.toHaveProperty('run')
  })

  test('that failed leaves its error until the next one begins', () => {
    const failed = reduce(running(), event('run-failed', { error: failure, ...end }))
    expect(failed).toMatchObject({ status: 'error', error: failure })
    expect(failed).not.toHaveProperty('run')
    expect(reduce(failed, event('run-started', { input: 'again' }, { runId: 'r2' })).error).toBeUndefined()
  })

  test('that was refused leaves its error, and the run under way alone', () => {
    const refused = event('run-failed', { error: failure, ...end }, { runId: 'refused' })
    expect(reduce(loaded(), refused)).toMatchObject({ status: 'error', error: failure })
    const before = streaming()
    const now = reduce(before, refused)
    expect(now).toEqual({ ...before, error: failure })
    expect(now.messages).toBe(before.messages)
  })

  test('of another leg ends without a trace', () => {
    const before = streaming()
    expect(reduce(before, event('run-cancelled', { reason: 'superseded', ...end }, { runId: 'old' }))).toBe(before)
  })

  test('whose owner lost the session is interrupted, without what was not committed', () => {
    const now = reduce(streaming(), event('run-released', { reason: 'ownership-lost', error: failure }))
    expect(now).toMatchObject({ status: 'error', error: failure, run: { runId: 'r1', phase: 'interrupted' } })
    expect(now.messages.map(({ id }) => id)).toEqual(['u1'])
    const ended = loaded()
    expect(reduce(ended, event('run-released', { reason: 'ownership-lost', error: failure }))).toBe(ended)
  })
})

describe('inputs that wait', () => {
  const queued = (inputId: string) =>
    event('input-queued', { inputId, input: `say ${inputId}`, mode: 'queue' }, { runId: inputId })
  const entry = (inputId: string) => ({ inputId, text: `say ${inputId}`, mode: 'queue' })

  test('are shown until they are delivered', () => {
    const two = told(running(), queued('r2'), queued('r3'))
    expect(two.queue).toEqual([entry('r2'), entry('r3')])
    expect(two.run?.runId).toBe('r1')
    const delivered = reduce(
      two,
      event('input-delivered', { inputId: 'r2', input: 'say r2', mode: 'queue' }, { runId: 'r2' }),
    )
    expect(delivered.queue).toEqual([entry('r3')])
  })

  test('are the run where none is under way, and take the error away', () => {
    const now = reduce(
      loaded({ status: 'error', error: failure, messages: [userMessage('u0', 'x', { runId: 'r0', turn: 4 })] }),
      queued('r2'),
    )
    expect(now).toMatchObject({ status: 'submitted', run: { runId: 'r2', phase: 'queued', turn: 4 } })
    expect(now.error).toBeUndefined()
  })

  test('become the run when the one before ends', () => {
    const now = told(running(), queued('r2'), event('run-completed', { finishReason: 'stop', ...end }))
    expect(now).toMatchObject({ status: 'submitted', run: { runId: 'r2', phase: 'queued' } })
  })

  test('go when they are withdrawn', () => {
    const withdrawn = (inputId: string) => event('input-withdrawn', { inputId }, { runId: inputId })
    const now = told(loaded(), queued('r2'), queued('r3'), withdrawn('r2'))
    expect(now).toMatchObject({ queue: [entry('r3')], run: { runId: 'r3', phase: 'queued' } })
    expect(reduce(now, withdrawn('r3'))).toEqual(loaded())
    expect(told(running(), queued('r2'), withdrawn('r2'))).toEqual(running())
  })

  test('that steer a run go with its end, unless any run may hear them', () => {
    const steered = (inputId: string, runId: string) =>
      event('input-queued', { inputId, input: `say ${inputId}`, mode: 'steer' }, { runId })
    const now = told(running(), steered('s1', 'r1'), steered('r2', 'r2'))
    expect(now.queue).toEqual([
      { ...entry('s1'), mode: 'steer', runId: 'r1' },
      { ...entry('r2'), mode: 'steer' },
    ])
    const after = reduce(now, event('run-stopped', { reason: 'requested', ...end }))
    expect(after).toMatchObject({ queue: [{ inputId: 'r2' }], run: { runId: 'r2', phase: 'queued' } })
    // Told late by another tab: nobody will hear it.
    expect(reduce(loaded(), steered('s2', 'r1'))).toEqual(loaded())
    expect(told(loaded(), queued('r3'), steered('s3', 'r3')).queue).toHaveLength(2)
  })

  test('that another run has heard are not shown when they are told late', () => {
    const heard = loaded({ messages: [userMessage('u1', 'x', { runId: 'r1', turn: 1 })] })
    expect(reduce(heard, queued('u1'))).toBe(heard)
  })

  test('of an open run that begins without one leave with its start', () => {
    const now = told(loaded(), queued('r2'), event('run-started', { input: '' }, { runId: 'r2' }))
    expect(now).toMatchObject({ queue: [], run: { runId: 'r2', phase: 'model' } })
    expect(reduce(now, event('run-waiting', { waitingFor: 'input' }, { runId: 'r2' }))).toMatchObject({
      status: 'ready',
      run: { phase: 'waiting', waitingFor: 'input' },
    })
    expect(reduce(now, event('run-waiting', { waitingFor: 'step' }, { runId: 'r2' })).status).toBe('submitted')
  })

  test('are not shown twice, nor once their run has begun', () => {
    const both = told(running(), queued('r2'), queued('r3'))
    expect(reduce(both, queued('r2'))).toBe(both)
    const begun = running()
    expect(reduce(begun, queued('r1'))).toBe(begun)
  })
})

describe('a message that streams', () => {
  test('appears with the model, empty, and its metadata is the envelope', () => {
    const now = reduce(running(), modelStarted('m1', { turn: 2, at: 5000 }))
    expect(last(now)).toEqual({
      id: 'm1',
      role: 'assistant',
      metadata: { runId: 'r1', turn: 2, agent: 'assistant', model: 'small', at: 5000, status: 'streaming' },
      parts: [],
    })
    expect(now.status).toBe('submitted')
  })

  test('appears with its first part where nobody told of the model', () => {
    const now = reduce(running(), text('Hi', 0))
    expect(last(now)).toMatchObject({
      id: 'm1',
      metadata: { status: 'streaming', runId: 'r1' },
      parts: [{ text: 'Hi' }],
    })
    expect(now.status).toBe('streaming')
  })

  test('grows by deltas', () => {
    const now = told(streaming(), text('lo', 3), text(' there', 5))
    expect(last(now).parts).toEqual([{ type: 'text', text: 'Hello there', state: 'streaming' }])
  })

  test('takes each text once, however it is cut and told again', () => {
    const now = told(streaming(), text('Hello', 0), text('llo you', 2), text('o', 4))
    expect(last(now).parts).toEqual([{ type: 'text', text: 'Hello you', state: 'streaming' }])
    expect(last(told(now, text('Bye', 0))).parts).toEqual([{ type: 'text', text: 'Bye', state: 'streaming' }])
  })

  test('has parts of every kind at their place; one that begins ends the text before it', () => {
    const part: MessagePart = { type: 'source-url', sourceId: '1', url: 'https://example.org' }
    const now = told(
      running(),
      event('reasoning-delta', { delta: 'Hm', start: 0, messageId: 'm1', partId: '0' }),
      text('So', 0, { partId: '1' }),
      event('message-part', { messageId: 'm1', partId: '2', part }),
    )
    expect(last(now).parts).toEqual([
      { type: 'reasoning', text: 'Hm', state: 'done' },
      { type: 'text', text: 'So', state: 'done' },
      part,
    ])
    expect(last(reduce(now, text('!', 2, { partId: '1' }))).parts[1]).toEqual({
      type: 'text',
      text: 'So!',
      state: 'done',
    })
  })

  test('has an empty text where a part was not told of', () => {
    const now = reduce(running(), text('late', 0, { partId: '2' }))
    expect(last(now).parts.map((part) => 'text' in part && part.text)).toEqual(['', '', 'late'])
    const filled = reduce(now, event('reasoning-delta', { delta: 'first', start: 0, messageId: 'm1', partId: '0' }))
    expect(last(filled).parts[0]).toEqual({ type: 'reasoning', text: 'first', state: 'done' })
  })

  test('gives way to the next attempt', () => {
    const now = reduce(streaming(), modelStarted('m2'))
    expect(now.messages.map(({ id }) => id)).toEqual(['u1', 'm2'])
  })

  test('goes with the end of its run where it was not committed', () => {
    const now = reduce(streaming(), event('run-cancelled', { reason: 'aborted', ...end }))
    expect(now.messages.map(({ id }) => id)).toEqual(['u1'])
  })

  test('goes with the next leg or run: its writer died', () => {
    expect(reduce(streaming(), event('run-started', { input: 'x' })).messages).toHaveLength(1)
    expect(reduce(streaming(), event('run-started', { input: 'x' }, { runId: 'r2' })).messages).toHaveLength(1)
  })

  test('does not come back by what is told of it late', () => {
    const ended = reduce(streaming(), event('run-cancelled', { reason: 'aborted', ...end }))
    expect(told(ended, text('lo', 3), modelStarted('m1'))).toBe(ended)
    const committed = reduce(
      streaming(),
      event('assistant-message-committed', { message: message('m1', [{ type: 'text', text: 'Hello' }]) }),
    )
    expect(told(committed, text('lo', 3), modelStarted('m1'))).toBe(committed)
  })
})

describe('a tool call', () => {
  test('is written, then whole', () => {
    const begun = told(
      running(),
      event('tool-call-started', { ...written, title: 'Weather' }),
      event('tool-call-delta', { ...written, delta: '{"ci' }),
    )
    const part = {
      type: 'tool-forecast',
      toolCallId: 'c1',
      title: 'Weather',
      state: 'input-streaming',
      rawInput: '{"ci',
    }
    expect(last(begun).parts).toEqual([part])
    expect(last(reduce(begun, event('tool-call-delta', { ...written, delta: 'ty"' }))).parts).toEqual([
      { ...part, rawInput: '{"city"' },
    ])
    const whole = reduce(begun, event('tool-call-completed', { ...written, title: 'Weather', input: { city: 'Oslo' } }))
    expect(last(whole).parts).toEqual([
      { type: 'tool-forecast', toolCallId: 'c1', title: 'Weather', state: 'input-available', input: { city: 'Oslo' } },
    ])
  })

  test('is written from its beginning again when it is told again', () => {
    const events = [event('tool-call-started', written), event('tool-call-delta', { ...written, delta: '{"a"' })]
    expect(told(running(), ...events, ...events)).toEqual(told(running(), ...events))
    expect(told(running(), ...events.slice(1))).toEqual(told(running(), ...events))
  })

  test('of no known tool is a dynamic one, and of the provider says so', () => {
    const now = reduce(running(), event('tool-call-started', { ...written, dynamic: true, providerExecuted: true }))
    expect(last(now).parts).toEqual([
      {
        type: 'dynamic-tool',
        toolName: 'forecast',
        toolCallId: 'c1',
        providerExecuted: true,
        state: 'input-streaming',
        rawInput: '',
      },
    ])
  })

  test('that is invalid fails when its result comes', () => {
    const now = told(
      running(),
      event('tool-call-completed', { ...written, input: 'x', dynamic: true, invalid: 'no JSON' }),
      event('tool-execution-finished', {
        ...call,
        input: 'x',
        dynamic: true,
        outcome: 'failure',
        errorText: 'no JSON',
        duration: 0,
        cached: false,
      }),
    )
    expect(last(now).parts).toEqual([
      {
        type: 'dynamic-tool',
        toolName: 'forecast',
        toolCallId: 'c1',
        state: 'output-error',
        input: 'x',
        errorText: 'no JSON',
      },
    ])
  })

  test('shows intermediate results, then its result', () => {
    const known = { type: 'tool-forecast', toolCallId: 'c1', input: { city: 'Oslo' } }
    const progress = (data: unknown) => event('tool-execution-progress', { ...call, data, preliminary: true })
    const one = reduce(calling(), progress(1))
    expect(last(one).parts).toEqual([{ ...known, state: 'output-available', output: 1, preliminary: true }])
    const outcome = { ...call, input: {}, outcome: 'success' as const, output: 2, duration: 3, cached: false }
    const done = told(one, progress(1.5), event('tool-execution-finished', outcome))
    expect(last(done).parts).toEqual([{ ...known, state: 'output-available', output: 2 }])
    const failed = { ...call, input: {}, outcome: 'denied' as const, errorText: 'no', duration: 3, cached: false }
    expect(last(reduce(one, event('tool-execution-finished', failed))).parts).toEqual([
      { ...known, state: 'output-error', errorText: 'no' },
    ])
  })

  test('is not changed by what its tool says on the way', () => {
    const before = calling()
    expect(reduce(before, event('tool-execution-progress', { ...call, data: 'half' }))).toBe(before)
  })

  test('of another run with the same id is left alone', () => {
    const before = calling()
    expect(
      reduce(before, event('tool-execution-progress', { ...call, data: 1, preliminary: true }, { runId: 'r0' })),
    ).toBe(before)
  })
})

describe('a committed message', () => {
  test('takes the place of the one that streamed', () => {
    const committed = message('m1', [{ type: 'text', text: 'Hello', state: 'done' }])
    const now = reduce(streaming(), event('assistant-message-committed', { message: committed }))
    expect(now.messages).toEqual([userMessage('u1', 'Hello'), committed])
    expect(now.status).toBe('submitted')
  })

  test('comes to the end where it is new', () => {
    const now = reduce(loaded(), event('user-message-committed', { message: userMessage('u1', 'Hi') }))
    expect(now.messages).toEqual([userMessage('u1', 'Hi')])
  })

  test('keeps the parts that are the same, and itself where all is the same', () => {
    const part: MessagePart = { type: 'source-url', sourceId: '1', url: 'https://example.org' }
    const before = told(
      running(),
      event('message-part', { messageId: 'm1', partId: '0', part }),
      text('a', 0, { partId: '1' }),
    )
    const committed = message('m1', [{ ...part }, { type: 'text', text: 'a', state: 'done' }])
    const now = reduce(before, event('assistant-message-committed', { message: committed }))
    expect(last(now).parts[0]).toBe(part)
    expect(reduce(now, event('tool-message-committed', { message: structuredClone(committed) }))).toBe(now)
  })
})

describe('what does not change', () => {
  test('keeps its identity: other messages, other parts, other fields', () => {
    const before = told(streaming(), text('!', 0, { partId: '1' }))
    const now = reduce(before, text('?', 1, { partId: '1' }))
    expect(now).not.toBe(before)
    expect(now.messages[0]).toBe(before.messages[0])
    expect(last(now)).not.toBe(last(before))
    expect(last(now).parts[0]).toBe(last(before).parts[0])
    expect(last(now).metadata).toBe(last(before).metadata)
    expect(now.run).toBe(before.run)
    expect(now.usage).toBe(before.usage)
    expect(now.queue).toBe(before.queue)
  })

  test('is left as it was: a snapshot is never written to', () => {
    const before = calling()
    const copy = structuredClone(before)
    reduceAll(before, [
      text('more', 0, { partId: '1' }),
      event('tool-execution-progress', { ...call, data: 1, preliminary: true }),
    ])
    expect(before).toEqual(copy)
  })

  test.each([
    event('custom', { name: 'n', data: 1 }),
    event('notice', { code: 'c', message: 'm' }),
    event('turn-completed', { finishReason: 'stop' }),
    event('session-updated', {}),
    text('el', 1),
    event('turn-started', {}),
    event('input-withdrawn', { inputId: 'unknown' }),
    { ...event('notice', { code: 'c', message: 'm' }), kind: 'not-invented-yet' } as unknown as AnyEvent,
  ])('is the snapshot itself: $kind', (event) => {
    const before = streaming()
    expect(reduce(before, event)).toBe(before)
  })
})

describe('a session', () => {
  test('counts its tokens', () => {
    expect(
      reduce(running(), event('usage-recorded', { usage: usage(1), run: usage(2), session: usage(3) })).usage,
    ).toEqual(usage(3))
  })

  test('gets its title when it is made, and when it is renamed', () => {
    const titled = reduce(loaded(), event('session-created', { title: 'Hello' }))
    expect(titled.title).toBe('Hello')
    expect(reduce(titled, event('session-updated', { title: 'Greetings' })).title).toBe('Greetings')
    expect(reduce(titled, event('session-updated', {}))).toBe(titled)
  })

  test('that is deleted is empty, and loaded', () => {
    const before = { ...streaming(), title: 'T', agent: 'assistant', error: failure, usage: usage(4), hasOlder: true }
    expect(reduce(before, event('session-deleted', {}, { runId: '' }))).toEqual(emptySession('s', true))
  })

  test('whose runtime was lost shows the error, and what streamed as partial', () => {
    const now = lose(streaming(), failure)
    expect(now).toMatchObject({ status: 'error', error: failure, run: { runId: 'r1', phase: 'interrupted' } })
    expect(last(now)).toMatchObject({ id: 'm1', metadata: { status: 'partial' }, parts: [{ text: 'Hel' }] })
    expect(lose(emptySession('s'), failure)).toEqual({ ...emptySession('s'), status: 'error', error: failure })
  })
})

describe('a session that is rewound', () => {
  const messages = [userMessage('u1', 'One'), message('m1', []), userMessage('u2', 'Two'), message('m2', [])]
  const rewound = (now: SessionSnapshot, messageId: string) => reduce(now, event('history-rewound', { messageId }))
  const ids = (now: SessionSnapshot) => now.messages.map(({ id }) => id)

  test('loses the message and all after it, and nothing else', () => {
    const now = loaded({ messages, hasOlder: true, usage: usage(3) })
    expect(ids(rewound(now, 'u2'))).toEqual(['u1', 'm1'])
    expect(ids(rewound(now, 'u1'))).toEqual([])
    expect(rewound(now, 'm2')).toEqual({ ...now, messages: messages.slice(0, 3) })
  })

  test('to before the window loses all of it', () => {
    expect(rewound(loaded({ messages, hasOlder: true }), 'older')).toMatchObject({ messages: [], hasOlder: true })
  })

  test('has what is said next at its end', () => {
    const next = reduceAll(loaded({ messages }), [
      event('run-started', { input: 'Other' }, { runId: 'r2' }),
      event('history-rewound', { messageId: 'u1' }, { runId: 'r2' }),
      event('user-message-committed', { message: userMessage('u3', 'Other') }, { runId: 'r2' }),
    ])
    expect(ids(next)).toEqual(['u3'])
    expect(next).toMatchObject({ status: 'submitted', run: { runId: 'r2' } })
  })
})

test('a view asks for kinds that exist', () => {
  expect(viewKinds.filter((kind) => !eventKinds.has(kind))).toEqual([])
  expect(viewKinds).toContain('text-delta')
})

describe('a run that is resumed', () => {
  const open = () => told(running(), modelStarted('m1'), text('Half', 0))

  test('drops what the leg before was writing, and counts as advanced here', () => {
    const now = told(
      running({}, { phase: 'interrupted', owner: 'elsewhere' }),
      event('run-started', { input: 'Hi', resumed: true }),
    )
    expect(now.run).toEqual({ runId: 'r1', phase: 'model', turn: 1, owner: 'here' })
    expect(told(open(), event('run-started', { input: 'Hi', resumed: true })).messages).toHaveLength(1)
  })

  test('drops a message that is voided, be it open or partial', () => {
    expect(told(open(), event('message-voided', { messageId: 'm1' })).messages).toHaveLength(1)
    const partial = running({ messages: [userMessage('u1', 'Hi'), message('m1', [], { status: 'partial' })] })
    expect(told(partial, event('message-voided', { messageId: 'm1' })).messages).toHaveLength(1)
    const untouched = open()
    expect(told(untouched, event('message-voided', { messageId: 'other' }))).toBe(untouched)
  })

  test('shows who advances it', () => {
    const now = told(running(), event('owner-changed', { owner: 'not-responding' }))
    expect(now.run).toEqual({ runId: 'r1', phase: 'model', turn: 1, owner: 'not-responding' })
    expect(told(now, event('turn-started', {})).run).toMatchObject({ owner: 'not-responding' })
    expect(told(now, event('owner-changed', { owner: 'elsewhere' }, { runId: 'other' }))).toBe(now)
  })
})

describe('a question', () => {
  const asked = (over: object = {}) =>
    ({
      id: 'a1',
      sessionId: 's',
      runId: 'r1',
      path: ['assistant'],
      title: 'Go on?',
      askedAt: 1,
      reason: 'interrupted',
      interruptedAt: 1,
      ...over,
    }) as never

  test('shows until it is answered, and once however often it is told', () => {
    const approval = asked({ reason: 'in-doubt', toolCallId: 'c', toolName: 'pay', input: {}, startedAt: 1 })
    const now = told(running(), event('approval-requested', { approval }), event('approval-requested', { approval }))
    expect(now.approvals).toEqual([approval])
    expect(now.run).toMatchObject({ phase: 'model' })
    const answered = told(
      now,
      event('approval-resolved', { approvalId: 'a1', answer: { decision: 'retry' }, by: 'person' }),
    )
    expect(answered.approvals).toEqual([])
  })

  test('whether an interrupted run is to go on leaves it interrupted while it waits', () => {
    const now = told(
      running(),
      event('approval-requested', { approval: asked() }),
      event('run-waiting', { waitingFor: 'approval' }),
    )
    expect(now).toMatchObject({ status: 'ready', run: { phase: 'interrupted' }, approvals: [{ id: 'a1' }] })
    expect(now.run).not.toHaveProperty('waitingFor')
  })
})

test('a run that its credentials stopped shows the error until the next send', () => {
  const stopped = told(
    running(),
    event('run-stopped', { reason: 'credentials', error: failure, turns: 1, usage: usage(1) }),
  )
  expect(stopped).toMatchObject({ status: 'error', error: failure })
  expect(stopped).not.toHaveProperty('run')
  expect(told(stopped, event('run-started', { input: 'Hi', resumed: true }))).not.toHaveProperty('error')
})
