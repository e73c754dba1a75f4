import { createRuntime, defineAgent, type InvocationHandle, memoryStore, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { z } from 'zod'
import type { AnyEvent } from '../../src/events/kinds.ts'
import { waitFor } from '../wait-for.ts'
import { manualModel } from './manual-model.ts'
import { record } from './record.ts'
import { door } from './stores.ts'

function scripted(...turns: Parameters<typeof scriptedModel>[0]) {
  const echo = tool({ inputSchema: z.object({}), execute: () => 'echo' })
  const agent = defineAgent({ name: 'assistant', model: scriptedModel(turns), tools: { echo } })
  const runtime = createRuntime(agent, { store: memoryStore() })
  return { runtime, session: runtime.session('trip') }
}

function manual() {
  const model = manualModel()
  const runtime = createRuntime(defineAgent({ name: 'assistant', model }), { store: memoryStore() })
  return { model, runtime, session: runtime.session('trip') }
}

const reported: unknown[] = []
beforeEach(() => {
  reported.length = 0
  const spy = vi.spyOn(globalThis, 'reportError').mockImplementation((error) => void reported.push(error))
  return () => spy.mockRestore()
})

describe('a listener', () => {
  test('hears one kind, several or any', async () => {
    const { runtime, session } = scripted(reply.text('one two'))
    const one: string[] = []
    const several: string[] = []
    const any: string[] = []
    runtime.on('text-delta', ({ delta }) => void one.push(delta))
    runtime.on(['run-started', 'run-completed'], ({ kind }) => void several.push(kind))
    runtime.on('any', ({ kind }) => void any.push(kind))
    await session.send('Hi').result
    expect(one).toEqual(['one', ' two'])
    expect(several).toEqual(['run-started', 'run-completed'])
    expect(any.filter((kind) => kind.startsWith('chat-'))).toEqual([])
    expect(any.length).toBeGreaterThan(8)
  })

  test('of a session or a run hears nothing of others', async () => {
    const { runtime } = scripted(reply.text('1'), reply.text('2'), reply.text('3'))
    const [trip, other] = [runtime.session('trip'), runtime.session('other')]
    const ofSession: AnyEvent[] = []
    const ofRun: AnyEvent[] = []
    trip.on('any', (event) => void ofSession.push(event as AnyEvent))
    await trip.send('a').result
    const run = trip.send('b')
    run.on('any', (event) => void ofRun.push(event as AnyEvent))
    await run.result
    await other.send('c').result
    expect(new Set(ofSession.map(({ sessionId }) => sessionId))).toEqual(new Set(['trip']))
    expect(ofSession.filter(({ kind }) => kind === 'run-completed')).toHaveLength(2)
    expect(new Set(ofRun.map(({ runId }) => runId))).toEqual(new Set([run.runId]))
    expect(ofRun.at(-1)?.kind).toBe('run-completed')
  })

  test('of a run that is attached right after the send hears it from the start', async () => {
    const { session } = scripted(reply.text('Hello'))
    const run = session.send('Hi')
    const heard = record(run)
    await run.result
    expect(heard.kinds().slice(0, 2)).toEqual(['input-queued', 'run-started'])
  })

  test('of a looked-up run hears that run', async () => {
    const { session, runtime, model } = manual()
    const run = session.send('Hi')
    const call = await model.next()
    const heard = record(runtime.runs.get(run.runId))
    call.text('Hello')
    call.finish()
    await run.result
    expect(heard.kinds()).toContain('text-delta')
    expect(heard.kinds().at(-1)).toBe('run-completed')
  })

  test('ends when its handle is aborted or disposed', async () => {
    for (const end of ['abort', 'dispose'] as const) {
      const { session, model } = manual()
      const told: string[] = []
      const handle = session.on('text-delta', ({ delta }) => void told.push(delta))
      const heard = record(session)
      const run = session.send('Hi')
      const call = await model.next()
      call.text('one')
      await heard.when('text-delta')
      expect(handle.finished).toBe(false)
      if (end === 'abort') handle.abort()
      else handle[Symbol.dispose]()
      expect(handle.finished).toBe(true)
      call.text('two')
      call.finish()
      await run.result
      expect(told).toEqual(['one'])
    }
  })

  test('ends with its signal', async () => {
    const { session } = scripted(reply.text('one two three'), reply.text('four'))
    const controller = new AbortController()
    const told: string[] = []
    const handle = session.on(
      'text-delta',
      ({ delta }) => {
        told.push(delta)
        controller.abort()
      },
      { signal: controller.signal },
    )
    await session.send('Hi').result
    expect(told).toEqual(['one'])
    expect(handle.finished).toBe(true)
    const never = session.on('any', ({ kind }) => void told.push(kind), { signal: AbortSignal.abort() })
    await session.send('Hi').result
    expect(told).toEqual(['one'])
    expect(never.finished).toBe(true)
  })

  test('ends from inside its handler', async () => {
    const { session } = scripted(reply.text('one two three'))
    const told: string[] = []
    session.on('text-delta', ({ delta }, _, control) => {
      told.push(`${delta} ${control.cancelled}`)
      control.cancel()
      told.push(`${control.cancelled} ${control.signal.aborted}`)
    })
    const handle = session.on('text-delta', ({ delta }) => {
      told.push(`other ${delta}`)
      handle.abort()
    })
    await session.send('Hi').result
    expect(told).toEqual(['one false', 'true true', 'other one'])
  })

  test('may be added and removed by another one while an event is told', async () => {
    const { session } = scripted(reply.text('one two'))
    const told: string[] = []
    let removed: InvocationHandle | undefined
    session.on('text-delta', ({ delta }) => {
      told.push(`first ${delta}`)
      if (delta === 'one') session.on('text-delta', (event) => void told.push(`third ${event.delta}`))
      else removed?.abort()
    })
    removed = session.on('text-delta', ({ delta }) => void told.push(`second ${delta}`))
    await session.send('Hi').result
    expect(told.filter((text) => text.startsWith('first'))).toEqual(['first one', 'first  two'])
    expect(told.filter((text) => text.startsWith('second'))).toEqual(['second one'])
    expect(told).toContain('third  two')
  })

  test('gets the context of the run: session, run, agent, metadata', async () => {
    const { runtime, session } = scripted(reply.text('one'))
    const contexts: object[] = []
    runtime.on('any', ({ kind }, context) => void (kind.startsWith('session-') || contexts.push(context)))
    runtime.on('run-completed', (_, context) => void contexts.push(context))
    const run = session.send('Hi', { metadata: { user: 'me' } })
    await run.result
    for (const context of contexts)
      expect(context).toEqual({ sessionId: 'trip', runId: run.runId, agent: 'assistant', metadata: { user: 'me' } })
  })

  test('of another runtime learns the metadata from the run-started event', async () => {
    const store = memoryStore()
    const agent = defineAgent({ name: 'assistant', model: scriptedModel([reply.text('one')]) })
    const [here, there] = [createRuntime(agent, { store }), createRuntime(agent, { store })]
    const contexts: unknown[] = []
    const ended = new Promise<void>((resolve) => {
      there.session('trip').on(['run-started', 'run-completed'], ({ kind }, { metadata }) => {
        contexts.push(metadata)
        if (kind === 'run-completed') resolve()
      })
    })
    await here.session('trip').send('Hi', { metadata: 7 }).result
    await ended
    expect(contexts).toEqual([7, 7])
  })

  test('for a kind that does not exist is refused', async () => {
    const { session } = scripted(reply.text('one'))
    const attempt = () => session.on('text-dleta' as 'text-delta', () => {})
    try {
      attempt()
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid-argument' })
      return
    }
    await waitFor(() => expect(reported).toMatchObject([{ code: 'invalid-argument', message: /text-dleta/ }]))
  })
})

describe('a handler that fails', () => {
  test('by a throw or a rejection goes to reportError, and nobody else notices', async () => {
    const { session } = scripted(reply.all(reply.text('one'), reply.call('echo', {})), reply.text('two'))
    session.on('any', () => {
      throw new Error('thrown')
    })
    session.on('any', async () => {
      throw new Error('rejected')
    })
    const heard = record(session)
    expect(await session.send('Hi').result).toMatchObject({ text: 'two', turns: 2 })
    await waitFor(() => {
      const messages = reported.map((error) => (error as Error).message)
      const count = heard.events.length
      expect(messages.filter((message) => message === 'thrown')).toHaveLength(count)
      expect(messages.filter((message) => message === 'rejected')).toHaveLength(count)
    })
  })

  test('by returning a broken promise of its own is reported, too', async () => {
    const { session } = scripted(reply.text('one'))
    // biome-ignore lint/suspicious/noThenProperty: a thenable that is no promise
    const odd = { then: (_: unknown, reject: (error: unknown) => void) => reject('odd') } as never
    session.on('run-started', () => odd)
    await session.send('Hi').result
    await waitFor(() => expect(reported).toEqual(['odd']))
  })

  test('to settle holds nobody up', async () => {
    const { session } = scripted(reply.text('one two'), reply.text('three'))
    let called = 0
    const handle = session.on('any', () => {
      called++
      return new Promise<void>(() => {})
    })
    const heard = record(session)
    await session.send('Hi').result
    await session.send('Hi').result
    expect(called).toBe(heard.events.length)
    handle.abort()
    expect(reported).toEqual([])
  })

  test('to finish in its time is reported, and its signal aborts', async () => {
    const { session } = scripted(reply.text('one'))
    const signals: AbortSignal[] = []
    session.on(
      'run-started',
      (_, __, { signal }) => {
        signals.push(signal)
        return new Promise<void>(() => {})
      },
      { timeout: 10 },
    )
    await session.send('Hi').result
    await waitFor(() => expect(reported).toMatchObject([{ code: 'timeout', message: /run-started.*10 ms/ }]))
    expect(signals[0]?.aborted).toBe(true)
    expect(signals[0]?.reason).toMatchObject({ code: 'timeout' })
  })

  test('to finish in time lets the next event in', async () => {
    const { session } = scripted(reply.text('one'))
    const told: string[] = []
    const done = new Promise<void>((resolve) => {
      session.on(
        ['run-started', 'run-completed'],
        ({ kind }) => {
          told.push(kind)
          if (kind === 'run-completed') resolve()
          return new Promise<void>(() => {})
        },
        { timeout: 10, concurrency: 1 },
      )
    })
    await session.send('Hi').result
    await done
    expect(told).toEqual(['run-started', 'run-completed'])
  })

  test('after it took its time is aborted with its listener', async () => {
    const { session } = scripted(reply.text('one'))
    const signals: AbortSignal[] = []
    const handle = session.on('run-started', (_, __, { signal }) => {
      signals.push(signal)
      return new Promise<void>(() => {})
    })
    await session.send('Hi').result
    expect(signals[0]?.aborted).toBe(false)
    handle.abort()
    expect(signals[0]?.aborted).toBe(true)
    expect(reported).toEqual([])
  })
})

describe('concurrency', () => {
  test('lets no more handlers run at once; the others wait in order', async () => {
    const { session } = scripted(reply.all(reply.text('a'), reply.call('echo', {})), reply.text('b'))
    const order: string[] = []
    let running = 0
    let most = 0
    const done = new Promise<void>((resolve) => {
      session.on(
        'any',
        async ({ kind }) => {
          most = Math.max(most, ++running)
          await new Promise((next) => setTimeout(next))
          running--
          order.push(kind)
          if (kind === 'run-completed') resolve()
        },
        { concurrency: 1 },
      )
    })
    const heard = record(session)
    await session.send('Hi').result
    await done
    expect(most).toBe(1)
    expect(order).toEqual(heard.kinds())
  })

  test('of two runs two at once', async () => {
    const { session } = scripted(reply.text('a b c d'))
    let running = 0
    let most = 0
    const done = new Promise<void>((resolve) => {
      session.on(
        'any',
        async ({ kind }) => {
          most = Math.max(most, ++running)
          await new Promise((next) => setTimeout(next))
          running--
          if (kind === 'run-completed') resolve()
        },
        { concurrency: 2 },
      )
    })
    await session.send('Hi').result
    await done
    expect(most).toBe(2)
  })

  test('merges the deltas that wait, and loses none', async () => {
    const { session } = scripted(reply.text('one two three four five'))
    const held = door()
    const deltas: string[] = []
    const done = new Promise<void>((resolve) => {
      session.on(
        ['text-delta', 'run-completed'],
        async (event) => {
          if (event.kind === 'run-completed') return resolve()
          deltas.push(event.delta)
          await held.pass()
        },
        { concurrency: 1 },
      )
    })
    await session.send('Hi').result
    held.open()
    await done
    expect(deltas).toEqual(['one', ' two three four five'])
  })

  test('can be changed from inside the handler', async () => {
    const { session } = scripted(reply.text('a b c d e f'))
    let running = 0
    let most = 0
    const done = new Promise<void>((resolve) => {
      session.on('any', async ({ kind }, _, control) => {
        control.concurrency = 1
        most = Math.max(most, ++running)
        await new Promise((next) => setTimeout(next))
        running--
        if (kind === 'run-completed') resolve()
      })
    })
    await session.send('Hi').result
    await done
    expect(most).toBe(1)
  })

  test('keeps the metadata of a run for those who come to its events late', async () => {
    const { session } = scripted(reply.text('one two'))
    const known: unknown[] = []
    const done = new Promise<void>((resolve) => {
      session.on(
        'any',
        async ({ kind }, { metadata }) => {
          if (kind.startsWith('session-')) return
          known.push(metadata)
          await new Promise((next) => setTimeout(next))
          if (kind === 'run-completed') resolve()
        },
        { concurrency: 1 },
      )
    })
    await session.send('Hi', { metadata: 'here' }).result
    await done
    expect(new Set(known)).toEqual(new Set(['here']))
  })

  test('of a listener that was aborted calls nobody any more', async () => {
    const { session } = scripted(reply.text('one two three'))
    const held = door()
    const told: string[] = []
    const handle = session.on(
      'any',
      async ({ kind }) => {
        told.push(kind)
        await held.pass()
      },
      { concurrency: 1 },
    )
    await session.send('Hi').result
    handle.abort()
    held.open()
    await new Promise((resolve) => setTimeout(resolve))
    expect(told).toEqual(['input-queued'])
  })
})

test('a run needs no listener', async () => {
  const { session } = scripted(reply.call('echo', {}), reply.text('Done'))
  expect(await session.send('Hi').result).toMatchObject({ text: 'Done' })
})

test('listeners of a closed runtime hear nothing and throw nothing', async () => {
  const { session, runtime, model } = manual()
  const told: string[] = []
  session.on('text-delta', ({ delta }) => void told.push(delta))
  session.send('Hi')
  const call = await model.next()
  await runtime.close()
  call.text('late')
  call.finish()
  await new Promise((resolve) => setTimeout(resolve))
  expect(told).toEqual([])
  onTestFinished(() => runtime.close())
})
