import { describe, expect, test, vi } from 'vitest'
import type { Message, SessionSnapshot } from '../../src/api/public-types.ts'
import { AgentError, toWire } from '../../src/errors.ts'
import type { AnyEvent } from '../../src/events/kinds.ts'
import { createSessionView, type ViewJoined, type ViewSource } from '../../src/view/session-view.ts'
import { waitFor } from '../wait-for.ts'
import { event, Frames, loaded, message, modelStarted, running, text, usage, userMessage } from './fixtures.ts'

type Loaded = Awaited<ReturnType<ViewSource['messages']>>

/** A view whose runtime the test is. */
function session() {
  const frames = new Frames()
  const runtime = {
    joins: [] as Parameters<ViewSource['join']>[0][],
    left: 0,
    receive: (_: ViewJoined | AnyEvent) => {},
    requests: [] as {
      params: Parameters<ViewSource['messages']>[0]
      resolve: (loaded: Loaded) => void
      reject: (error: Error) => void
    }[],
  }
  const view = createSessionView(
    's',
    {
      join: (interest, receive) => {
        runtime.joins.push(interest)
        runtime.receive = receive
        return () => {
          runtime.left++
        }
      },
      messages: (params) => new Promise((resolve, reject) => runtime.requests.push({ params, resolve, reject })),
    },
    { frame: frames.schedule },
  )
  const join = (snapshot: SessionSnapshot, events: readonly AnyEvent[] = []) =>
    runtime.receive({ kind: '@joined', snapshot, events })
  const lose = (error: AgentError) => runtime.receive({ kind: '@joined', events: [], error: toWire(error) })
  const show = () => {
    frames.next()
    return view.getSnapshot()
  }
  const told = (...events: AnyEvent[]) => {
    for (const one of events) runtime.receive(one)
    return show()
  }
  return { frames, join, lose, runtime, show, told, view }
}

const ids = ({ messages }: SessionSnapshot) => messages.map(({ id }) => id)
const history = (from: number, to: number): Message[] =>
  Array.from({ length: to - from }, (_, i) =>
    message(`h${from + i}`, [{ type: 'text', text: `message ${from + i}` }], { runId: 'r0' }),
  )
const gone = new AgentError('worker-lost', 'The worker has ended.')

test('a view is not loaded before the runtime has answered', () => {
  const { runtime, view } = session()
  expect(view.getSnapshot()).toMatchObject({ id: 's', loaded: false, messages: [], status: 'ready' })
  expect(runtime.joins).toEqual([])
})

test('the first subscriber joins, with a window of the last 50 messages and the kinds that a view needs', () => {
  const { runtime, view } = session()
  const leave = view.subscribe(() => {})
  expect(runtime.joins).toMatchObject([{ sessionId: 's', window: 50 }])
  expect(runtime.joins[0]?.kinds).toContain('text-delta')
  expect(runtime.joins[0]?.kinds).not.toContain('custom')
  leave()
  expect(runtime.left).toBe(1)
})

test('a view begins with the snapshot and the message that is being written', async () => {
  const { join, view } = session()
  const { ready } = view
  join(running(), [modelStarted('m1'), text('Hello', 0)])
  const snapshot = await ready
  expect(snapshot).toMatchObject({ loaded: true, status: 'streaming', run: { runId: 'r1' } })
  expect(snapshot.messages.at(-1)).toMatchObject({ id: 'm1', parts: [{ text: 'Hello' }] })
})

test('what arrives between two frames is shown together', () => {
  const { frames, join, runtime, show, view } = session()
  const changed = vi.fn()
  view.subscribe(changed)
  join(running())
  show()
  for (let i = 0; i < 100; i++) runtime.receive(text('x', i))
  expect(frames.requested).toBe(1)
  expect(show().messages.at(-1)?.parts).toMatchObject([{ text: 'x'.repeat(100) }])
  expect(changed).toHaveBeenCalledTimes(2)
})

test('nothing is lost where more arrives than may wait for a frame', () => {
  const { join, runtime, show, view } = session()
  view.subscribe(() => {})
  join(running())
  for (let i = 0; i < 10_000; i++) runtime.receive(text('x', i))
  expect(view.getSnapshot().loaded).toBe(false)
  expect(show().messages.at(-1)?.parts).toMatchObject([{ text: 'x'.repeat(10_000) }])
})

test('messages that did not change keep their identity while one streams', () => {
  const { join, show, told, view } = session()
  view.subscribe(() => {})
  join(running({ messages: [...history(0, 3), userMessage('u1', 'Hi')] }))
  const before = show()
  const now = told(modelStarted('m1'), text('a', 0))
  expect(now.messages).toHaveLength(5)
  before.messages.forEach((message, i) => {
    expect(now.messages[i]).toBe(message)
  })
})

describe('joining again', () => {
  test('takes the new snapshot, keeps what is the same, and drops what was not committed', () => {
    const { join, show, told, view } = session()
    view.subscribe(() => {})
    join(running({ messages: [...history(0, 3), userMessage('u1', 'Hi')] }))
    show()
    const before = told(modelStarted('m1'), text('never saved', 0))
    join(structuredClone(running({ messages: [...history(0, 3), userMessage('u1', 'Hi')] }, { phase: 'interrupted' })))
    const now = show()
    expect(ids(now)).toEqual(['h0', 'h1', 'h2', 'u1'])
    expect(now).toMatchObject({ status: 'ready', run: { phase: 'interrupted' } })
    expect(now.messages[0]).toBe(before.messages[0])
    expect(now.usage).toBe(before.usage)
  })

  test('changes nothing where nothing changed', () => {
    const { join, show, view } = session()
    const changed = vi.fn()
    view.subscribe(changed)
    const snapshot = loaded({ messages: history(0, 3), title: 'T', usage: usage(2) })
    join(snapshot)
    const before = show()
    join(structuredClone(snapshot))
    expect(show()).toBe(before)
    expect(changed).toHaveBeenCalledOnce()
  })

  test('keeps the older messages', () => {
    const { join, show, view } = session()
    view.subscribe(() => {})
    join(loaded({ messages: history(0, 6), hasOlder: false }))
    const before = show()
    join(loaded({ messages: history(4, 8), hasOlder: true }))
    const now = show()
    expect(ids(now)).toEqual(ids(loaded({ messages: history(0, 8) })))
    expect(now.hasOlder).toBe(false)
    expect(now.messages[0]).toBe(before.messages[0])
  })

  test('begins anew where the windows do not meet', () => {
    const { join, show, view } = session()
    view.subscribe(() => {})
    join(loaded({ messages: history(0, 3) }))
    show()
    join(loaded({ messages: history(60, 63), hasOlder: true }))
    expect(ids(show())).toEqual(['h60', 'h61', 'h62'])
    expect(view.getSnapshot().hasOlder).toBe(true)
  })

  test('takes the place of what waited for a frame', () => {
    const { join, runtime, show, view } = session()
    view.subscribe(() => {})
    join(running())
    show()
    runtime.receive(event('run-completed', { finishReason: 'stop', turns: 1, usage: usage(1) }))
    join(running(), [modelStarted('m1'), text('Hi', 0)])
    expect(show()).toMatchObject({ status: 'streaming', run: { runId: 'r1', phase: 'model' } })
    expect(view.getSnapshot().messages.at(-1)?.parts).toMatchObject([{ text: 'Hi' }])
  })
})

describe('a runtime that is lost', () => {
  test('is shown as an error, and what streamed stays to be read', () => {
    const { join, lose, show, told, view } = session()
    view.subscribe(() => {})
    join(running())
    told(modelStarted('m1'), text('Hel', 0))
    lose(gone)
    const now = show()
    expect(now).toMatchObject({ loaded: true, status: 'error', run: { phase: 'interrupted' } })
    expect(now.error).toBeInstanceOf(AgentError)
    expect(now.error?.code).toBe('worker-lost')
    expect(now.messages.at(-1)).toMatchObject({ metadata: { status: 'partial' }, parts: [{ text: 'Hel' }] })
  })

  test('is forgotten when a new one has answered', () => {
    const { join, lose, show, view } = session()
    view.subscribe(() => {})
    join(running())
    show()
    lose(gone)
    show()
    join(loaded({ messages: [userMessage('u1', 'Hello')] }))
    expect(show()).toMatchObject({ status: 'ready' })
    expect(view.getSnapshot().error).toBeUndefined()
  })

  test('rejects `ready`', async () => {
    const { lose, view } = session()
    const { ready } = view
    lose(gone)
    await expect(ready).rejects.toMatchObject({ code: 'worker-lost' })
    expect(view.getSnapshot()).toMatchObject({ loaded: false, status: 'error' })
  })
})

describe('loadOlder', () => {
  test('puts older messages in front', async () => {
    const { join, runtime, show, view } = session()
    view.subscribe(() => {})
    join(loaded({ messages: history(50, 100), hasOlder: true }))
    const before = show()
    const done = view.loadOlder(20)
    expect(view.loadOlder()).toBe(done)
    await waitFor(() => expect(runtime.requests).toHaveLength(1))
    expect(runtime.requests[0]?.params).toEqual({ sessionId: 's', before: 'h50', limit: 20 })
    runtime.requests[0]?.resolve({ messages: history(30, 50), hasOlder: true })
    await waitFor(() => expect(show().messages).toHaveLength(70))
    await done
    const now = view.getSnapshot()
    expect(ids(now)[0]).toBe('h30')
    expect(now.hasOlder).toBe(true)
    expect(now.messages[20]).toBe(before.messages[0])
  })

  test('attaches the view where nobody watches', async () => {
    const { frames, join, runtime, view } = session()
    const done = view.loadOlder()
    join(loaded({ messages: history(50, 52), hasOlder: true }))
    frames.next()
    await waitFor(() => expect(runtime.requests).toHaveLength(1))
    runtime.requests[0]?.resolve({ messages: history(0, 50), hasOlder: false })
    await waitFor(() => expect(frames.requested).toBe(1))
    frames.next()
    await done
    expect(view.getSnapshot().messages).toHaveLength(52)
    expect(view.getSnapshot().hasOlder).toBe(false)
    expect(runtime.left).toBe(1)
  })

  test('asks for nothing where there is nothing older', async () => {
    const { join, runtime, show, view } = session()
    view.subscribe(() => {})
    join(loaded({ messages: history(0, 2) }))
    show()
    await view.loadOlder()
    expect(runtime.requests).toHaveLength(0)
  })

  test('drops what belongs to a session that was deleted meanwhile', async () => {
    const { join, runtime, show, told, view } = session()
    view.subscribe(() => {})
    join(loaded({ messages: history(50, 52), hasOlder: true }))
    show()
    const done = view.loadOlder()
    await waitFor(() => expect(runtime.requests).toHaveLength(1))
    told(event('session-deleted', {}, { runId: '' }))
    runtime.requests[0]?.resolve({ messages: history(0, 50), hasOlder: false })
    await done
    expect(show().messages).toEqual([])
  })

  test('begins at the end where the session was rewound to before the window, whether or not one streams', async () => {
    const { join, runtime, told, show, view } = session()
    const leave = view.subscribe(() => {})
    join(loaded({ messages: history(10, 12), hasOlder: true }))
    told(
      event('run-started', { input: 'Go' }),
      event('history-rewound', { messageId: 'h3' }),
      modelStarted('m1'),
      text('New', 0),
    )
    const older = view.loadOlder()
    await waitFor(() => expect(runtime.requests).toHaveLength(1))
    expect(runtime.requests[0]?.params).toEqual({ sessionId: 's', limit: 50 })
    runtime.requests[0]?.resolve({ messages: history(0, 3), hasOlder: false })
    await waitFor(() => expect(ids(show())).toEqual(['h0', 'h1', 'h2', 'm1']))
    await older
    leave()
  })

  test('drops what it asked for before the session was rewound past its window', async () => {
    const { join, runtime, told, show, view } = session()
    const leave = view.subscribe(() => {})
    join(loaded({ messages: history(10, 12), hasOlder: true }))
    show()
    const older = view.loadOlder()
    await waitFor(() => expect(runtime.requests).toHaveLength(1))
    told(
      event('history-rewound', { messageId: 'h3' }),
      event('user-message-committed', { message: userMessage('u', 'Go') }),
    )
    runtime.requests[0]?.resolve({ messages: history(0, 10), hasOlder: false })
    await older
    expect(ids(show())).toEqual(['u'])
    expect(view.getSnapshot().hasOlder).toBe(true)
    leave()
  })

  test('rejects with the error of the request, and can be called again', async () => {
    const { join, runtime, show, view } = session()
    view.subscribe(() => {})
    join(loaded({ messages: history(50, 52), hasOlder: true }))
    show()
    const done = view.loadOlder()
    await waitFor(() => expect(runtime.requests).toHaveLength(1))
    runtime.requests[0]?.reject(gone)
    await expect(done).rejects.toBe(gone)
    void view.loadOlder()
    await waitFor(() => expect(runtime.requests).toHaveLength(2))
  })
})
