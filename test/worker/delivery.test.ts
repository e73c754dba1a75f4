import { AgentError } from 'turnloop'
import { memoryStore, type Store } from 'turnloop/runtime'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { PortMessage } from '../../src/protocol/messages.ts'
import { waitFor } from '../wait-for.ts'
import type { Feed } from './fixtures/fed-model.ts'
import { brief, Heard } from './fixtures/heard.ts'
import { connectedPage, fedRuntime, quiet } from './fixtures/port.ts'

const itemsOf = (messages: readonly PortMessage[]) =>
  messages.flatMap((message) => (message.type === 'batch' ? message.items : []))
const isAck = ({ type }: PortMessage) => type === 'ack'

describe('the filter at the source', () => {
  it('lets no kind cross that nobody asked for', async () => {
    const { runtime, model } = fedRuntime()
    const { page, posted } = connectedPage(runtime)
    page.on('run-completed', () => {})
    const run = page.session('s').send('Hi')
    ;(await model.next()).say('Hello there')
    await run.result
    expect(new Set(itemsOf(posted).map(({ kind }) => kind))).toEqual(new Set(['run-completed', '@answer']))
  })

  it('lets nothing cross but answers where nobody listens', async () => {
    const { runtime, model } = fedRuntime()
    const { page, posted } = connectedPage(runtime)
    const run = page.session('s').send('Hi')
    ;(await model.next()).say('Hello there')
    await run.result
    expect(itemsOf(posted).map(({ kind }) => kind)).toEqual(['@answer'])
  })

  it('lets events of other sessions and runs not cross', async () => {
    const { runtime, model } = fedRuntime()
    const { page, posted } = connectedPage(runtime)
    page.session('one').on('any', () => {})
    const other = page.session('two').send('Hi')
    ;(await model.next()).say('Hello')
    await other.result
    expect(itemsOf(posted).filter(({ kind }) => kind !== '@answer')).toEqual([])
    const run = page.session('two').send('Again')
    const heard = new Heard()
    run.on('any', heard.hear)
    ;(await model.next()).say('Hello')
    await run.result
    expect(heard.events.length).toBeGreaterThan(5)
    expect(heard.events.every(({ runId }) => runId === run.runId)).toBe(true)
  })

  it('does not count the provider’s own stream among `any`, and lets it cross when it is asked for', async () => {
    const { runtime, model } = fedRuntime()
    const { page, posted } = connectedPage(runtime)
    page.on('any', () => {})
    const run = page.session('s').send('Hi')
    ;(await model.next()).say('Hello')
    await run.result
    expect(itemsOf(posted).some(({ kind }) => kind.startsWith('chat-'))).toBe(false)
    const chat = new Heard()
    page.on(['chat-started', 'chat-text-delta', 'chat-finished'], chat.hear)
    const next = page.session('s').send('Again')
    ;(await model.next()).say('Hello')
    await next.result
    expect(chat.kinds).toEqual(['chat-started', 'chat-text-delta', 'chat-finished'])
  })

  it('ends when its listener ends', async () => {
    const { runtime, model } = fedRuntime()
    const { page, posted } = connectedPage(runtime)
    const heard = new Heard()
    const listener = page.on('text-delta', heard.hear)
    const run = page.session('s').send('Hi')
    const feed = await model.next()
    feed.text('one ')
    await waitFor(() => expect(heard.text).toBe('one '))
    listener.abort()
    await quiet()
    const crossed = posted.length
    feed.text('two ')
    await quiet()
    expect(posted.length).toBe(crossed)
    feed.finish()
    await run.result
    expect(heard.text).toBe('one ')
  })

  it('lets an event cross once for all the listeners of a page', async () => {
    const { runtime, model } = fedRuntime()
    const { page, posted } = connectedPage(runtime)
    let calls = 0
    for (let i = 0; i < 5; i++) page.on('run-completed', () => void calls++)
    page.session('s').on('any', () => void calls++)
    const run = page.session('s').send('Hi')
    ;(await model.next()).say('Hello')
    await run.result
    expect(itemsOf(posted).filter(({ kind }) => kind === 'run-completed')).toHaveLength(1)
    expect(calls).toBeGreaterThan(6)
  })

  it('refuses a kind that there is not, and reports it', async () => {
    const { runtime } = fedRuntime()
    const { page } = connectedPage(runtime)
    const reported = vi.spyOn(globalThis, 'reportError').mockImplementation(() => {})
    onTestFinished(() => reported.mockRestore())
    page.on('text-dleta' as 'text-delta', () => {})
    await waitFor(() => expect(reported).toHaveBeenCalled())
    expect(reported.mock.calls[0]?.[0]).toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining('text-dleta'),
    })
  })
})

describe('a listener that is set right after the send', () => {
  it('hears the run from its first event on, however fast the worker is', async () => {
    const { runtime, model } = fedRuntime()
    const { page } = connectedPage(runtime)
    await page.sessions.list()
    const run = page.session('s').send('Hi')
    const heard = new Heard()
    run.on('any', heard.hear)
    ;(await model.next()).say('Hello')
    await run.result
    expect(heard.kinds[0]).toBe('input-queued')
    expect(heard.kinds.at(-1)).toBe('run-completed')
  })

  it('hears that the request was refused', async () => {
    const { runtime } = fedRuntime()
    const { page } = connectedPage(runtime)
    await page.sessions.list()
    const run = page.session('s').send('')
    const failed = new Promise<AgentError>((resolve) => run.on('run-failed', ({ error }) => resolve(error)))
    expect(await failed).toMatchObject({ code: 'invalid-input' })
    await expect(run.result).rejects.toMatchObject({ code: 'invalid-input' })
  })
})

describe('batches', () => {
  it('take together what is told in one go, up to 512 events', async () => {
    const { runtime, model } = fedRuntime()
    const { page, tap } = connectedPage(runtime)
    const heard = new Heard()
    page.on('text-delta', heard.hear)
    const run = page.session('s').send('Hi')
    const feed = await model.next()
    await quiet()
    const before = tap.batches.length
    for (let i = 0; i < 1000; i++) feed.text(`${i} `)
    feed.finish()
    await run.result
    const sizes = tap.batches.slice(before).map(({ items }) => items.length)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(512)
    expect(sizes.length).toBeLessThan(100)
    heard.expectExact(0, 0)
    expect(heard.text).toBe(Array.from({ length: 1000 }, (_, i) => `${i} `).join(''))
  })

  it('are numbered, and acknowledged one by one', async () => {
    const { runtime, model } = fedRuntime()
    const { page, tap } = connectedPage(runtime)
    page.on('any', () => {})
    const run = page.session('s').send('Hi')
    ;(await model.next()).say('Hello')
    await run.result
    await quiet()
    const numbers = tap.batches.map(({ n }) => n)
    expect(numbers).toEqual(numbers.map((_, i) => i + 1))
    expect(tap.sent.flatMap((message) => (message.type === 'ack' ? [message.n] : []))).toEqual(numbers)
  })

  it('are at most two in flight, and deltas merge meanwhile', async () => {
    const { runtime, model } = fedRuntime()
    const { page, tap } = connectedPage(runtime)
    const heard = new Heard()
    page.on('text-delta', heard.hear)
    const run = page.session('s').send('Hi')
    const feed = await model.next()
    await quiet()
    tap.holds = isAck
    const before = tap.batches.length
    for (let i = 0; i < 5000; i++) {
      feed.text(`${i} `)
      if (i % 500 === 0) await quiet(2)
    }
    await quiet()
    expect(tap.batches.length - before).toBe(2)
    tap.release()
    feed.finish()
    await run.result
    heard.expectExact(0, 0)
    expect(heard.text).toBe(Array.from({ length: 5000 }, (_, i) => `${i} `).join(''))
    expect(heard.events.length).toBeLessThan(2500)
  })

  it('that a page does not acknowledge hold up no other page', async () => {
    const { runtime, model } = fedRuntime()
    const slow = connectedPage(runtime)
    const fast = connectedPage(runtime)
    slow.page.on('text-delta', () => {})
    const heard = new Heard()
    fast.page.on('text-delta', heard.hear)
    slow.tap.holds = isAck
    const run = fast.page.session('s').send('Hi')
    const feed = await model.next()
    for (let i = 0; i < 50; i++) {
      feed.text(`${i} `)
      await quiet(1)
    }
    feed.finish()
    await run.result
    expect(heard.text).toBe(Array.from({ length: 50 }, (_, i) => `${i} `).join(''))
  })

  it('are not waited for by a page that comes after one that left without acknowledging', async () => {
    const { runtime, model } = fedRuntime()
    const { page, tap, workerPort } = connectedPage(runtime)
    tap.holds = isAck
    const run = page.session('s').send('Hi').detach()
    page.on('any', () => {})
    const feed = await model.next()
    for (let i = 0; i < 20; i++) {
      feed.text('…')
      await quiet(1)
    }
    await page.close()
    expect(workerPort).toBeDefined()
    // The same port, for a page of its own.
    const { connect } = await import('turnloop')
    const next = connect<typeof runtime>(tap as unknown as MessagePort)
    onTestFinished(() => next.close())
    tap.holds = () => false
    const { view } = next.session('s')
    expect((await view.ready).status).toBe('streaming')
    feed.finish()
    expect((await next.runs.get(run.runId).result).status).toBe('completed')
  })
})

describe('something that can’t be cloned in a model’s stream', () => {
  it.each([
    [
      'a part’s metadata',
      (feed: Feed) =>
        feed.parts({
          type: 'source',
          sourceType: 'url',
          id: '1',
          url: 'https://example.com/',
          providerMetadata: { test: { go: (() => {}) as never } },
        }),
    ],
    [
      'a text’s metadata',
      (feed: Feed) =>
        feed.parts({ type: 'text-start', id: 't', providerMetadata: { test: { go: (() => {}) as never } } }),
    ],
    [
      'a delta',
      (feed: Feed) =>
        feed.parts({ type: 'text-start', id: 't' }, { type: 'text-delta', id: 't', delta: (() => {}) as never }),
    ],
    ['a call’s name', (feed: Feed) => feed.parts({ type: 'tool-input-start', id: 'c', toolName: (() => {}) as never })],
    [
      'a result of the provider’s tool',
      (feed: Feed) =>
        feed.parts(
          { type: 'tool-call', toolCallId: 'c', toolName: 'x', input: '{}', providerExecuted: true, dynamic: true },
          { type: 'tool-result', toolCallId: 'c', toolName: 'x', result: (() => {}) as never },
        ),
    ],
  ])('(%s) ends the run typed or is left out, and the page goes on', async (_, spoil) => {
    const reported = vi.spyOn(globalThis, 'reportError').mockImplementation(() => {})
    onTestFinished(() => reported.mockRestore())
    const { runtime, model } = fedRuntime()
    const { page } = connectedPage(runtime)
    const heard = new Heard()
    const session = page.session('s')
    session.on('any', heard.hear)
    session.on(['chat-text-delta', 'chat-tool-call-started'], () => {})
    onTestFinished(session.view.subscribe(() => {}))
    const run = session.send('Hi')
    const feed = await model.next()
    spoil(feed)
    feed.say('Hello')
    const outcome = await run.result.catch((error) => error)
    if (outcome instanceof Error) expect(outcome).toBeInstanceOf(AgentError)
    await waitFor(() => expect(heard.kinds.at(-1)).toMatch(/run-(completed|failed|released)/))
    expect((await page.session('s').view.ready).loaded).toBe(true)
    const next = session.send('Again')
    ;(await model.next()).say('Fine')
    expect((await next.result).text).toBe('Fine')
    expect(heard.text.endsWith('Fine')).toBe(true)
  })
})

/** A turn with a tool, told to a page that acknowledges nothing meanwhile; more than `bytes` of text in all. */
async function overflow({ turns = 3, kilobytes = 800 } = {}) {
  const { runtime, model } = fedRuntime()
  const { page, tap } = connectedPage(runtime)
  const heard = new Heard()
  const session = page.session('s')
  session.on('any', heard.hear)
  const deltas = new Heard()
  session.on('text-delta', deltas.hear)
  onTestFinished(session.view.subscribe(() => {}))
  await session.view.ready
  const run = session.send('Hi')
  const first = await model.next()
  first.text('Begin. ')
  await waitFor(() => expect(deltas.text).toBe('Begin. '))
  tap.holds = isAck
  let feed = first
  const chunk = 'abcdefghi '.repeat(102)
  for (let turn = 0; turn < turns; turn++) {
    for (let i = 0; i < kilobytes; i++) {
      feed.text(chunk)
      if (i % 50 === 0) await quiet(1)
    }
    feed.toolCall(`c${turn}`, 'add', { a: turn, b: 1 })
    feed.finish('tool-calls')
    feed = await model.next()
    await quiet()
  }
  feed.text('Almost. ')
  await quiet()
  return { runtime, model, page, tap, heard, deltas, session, run, feed }
}

describe('a page that falls behind by more than 1 MB', () => {
  it('hears every durable event once and in order, and every text to its end', async () => {
    const { tap, heard, deltas, session, run, feed } = await overflow()
    const received = tap.batches.length
    expect(tap.items.filter(({ kind }) => kind === 'run-completed')).toHaveLength(0)
    tap.release()
    await quiet()
    feed.say('Done.')
    const output = await run.result
    expect(output.text).toBe('Almost. Done.')
    await waitFor(() => expect(session.view.getSnapshot().status).toBe('ready'))
    const head = heard.events.at(-1)?.seq ?? 0
    heard.expectExact(0, head)
    expect(heard.kinds.at(-1)).toBe('run-completed')
    deltas.expectExact(0, 0)
    expect(deltas.text.length).toBe('Begin. '.length + 3 * 800 * 1020 + 'Almost. Done.'.length)
    expect(tap.batches.length).toBeGreaterThan(received)
    const shown = session.view
      .getSnapshot()
      .messages.map(({ parts }) => parts.map((part) => ('text' in part ? part.text.length : part.type)))
    expect(shown).toEqual([[2], [7 + 816_000, 'tool-add'], [816_000, 'tool-add'], [816_000, 'tool-add'], [13]])
  })

  it('may stay behind to the end of the run, and beyond', async () => {
    const { tap, heard, deltas, session, run, feed } = await overflow({ turns: 2 })
    feed.say('Done.')
    await quiet(20)
    expect(run.finished).toBe(false)
    tap.release()
    await run.result
    await waitFor(() => expect(heard.kinds.at(-1)).toBe('run-completed'))
    heard.expectExact(0, heard.events.at(-1)?.seq ?? 0)
    deltas.expectExact(0, 0)
    await waitFor(() => expect(session.view.getSnapshot().status).toBe('ready'))
    expect(session.view.getSnapshot().messages).toHaveLength(4)
  })

  it('is told what it missed in portions, as it takes them', async () => {
    const { tap, heard, feed, run } = await overflow({ turns: 4 })
    const before = tap.batches.length
    tap.release()
    feed.say('Done.')
    await run.result
    await waitFor(() => expect(heard.kinds.at(-1)).toBe('run-completed'))
    const sizes = tap.batches.slice(before).map(({ items }) => JSON.stringify(items).length)
    // A message of 0.8 MB, the delta that makes up for it, and the message again with its result.
    expect(Math.max(...sizes)).toBeLessThan(4 * 1024 * 1024)
    expect(sizes.filter((size) => size > 500_000).length).toBeGreaterThan(3)
    heard.expectExact(0, heard.events.at(-1)?.seq ?? 0)
  })

  it('gets its answers all the same, and after the events before them', async () => {
    const { page, tap, heard, feed, run } = await overflow({ turns: 1 })
    let heardAtEnd: string | undefined
    run.result.then(() => {
      heardAtEnd = heard.kinds.at(-1)
    })
    const list = page.sessions.list()
    feed.say('Done.')
    await quiet(20)
    tap.release()
    expect(await list).toMatchObject([{ id: 's' }])
    await run.result
    expect(heardAtEnd).toBe('run-completed')
  })

  it('joins a listener and a view in the middle of it without gap or repeat', async () => {
    const { runtime, page, tap, heard, feed, run } = await overflow({ turns: 2 })
    const late = new Heard()
    const session = page.session('s')
    session.on('any', late.hear, { since: 0 })
    const other = page.session('s').view
    onTestFinished(other.subscribe(() => {}))
    await quiet()
    feed.text('More. ')
    tap.release()
    await quiet(3)
    feed.say('Done.')
    await run.result
    await waitFor(() => expect(late.kinds.at(-1)).toBe('run-completed'))
    const head = heard.events.at(-1)?.seq ?? 0
    heard.expectExact(0, head)
    late.expectExact(0, head)
    await waitFor(() => expect(other.getSnapshot()).toMatchObject({ loaded: true, status: 'ready' }))
    expect(brief(other.getSnapshot())).toEqual(brief(await connectedPage(runtime).page.session('s').view.ready))
  })

  it('is told that the owner lost the session, whatever else is dropped', async () => {
    const store = memoryStore()
    let failing = false
    const broken: Store = {
      ...store,
      commit: (change) =>
        failing ? Promise.reject(new AgentError('storage-full', 'The disk is full')) : store.commit(change),
    }
    const { runtime, model } = fedRuntime({ store: broken })
    const { page, tap } = connectedPage(runtime)
    const heard = new Heard()
    page.session('s').on(['text-delta', 'run-released'], heard.hear)
    const run = page.session('s').send('Hi')
    const feed = await model.next()
    await quiet()
    tap.holds = isAck
    for (let i = 0; i < 2000; i++) {
      feed.text('x'.repeat(1000))
      if (i % 50 === 0) await quiet(1)
    }
    failing = true
    feed.finish()
    await quiet(20)
    tap.release()
    await expect(run.result).rejects.toMatchObject({ code: 'storage-full' })
    const released = heard.events.filter(({ kind }) => kind === 'run-released')
    expect(released).toMatchObject([{ reason: 'storage-full', error: { code: 'storage-full' } }])
    expect((released[0] as unknown as { error: unknown }).error).toBeInstanceOf(AgentError)
  })
})
