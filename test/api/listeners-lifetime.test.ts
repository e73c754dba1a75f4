import { createRuntime, defineAgent, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { door } from '../runtime/stores.ts'
import { waitFor } from '../wait-for.ts'

function start(...texts: readonly string[]) {
  const model = scriptedModel(texts.map((text) => reply.text(text)))
  const runtime = createRuntime(defineAgent({ name: 'assistant', model }), { store: memoryStore() })
  return { runtime, session: runtime.session('trip') }
}

function reported() {
  const errors: unknown[] = []
  vi.stubGlobal('reportError', (error: unknown) => errors.push(error))
  onTestFinished(() => void vi.unstubAllGlobals())
  return errors
}

describe('a time-out', () => {
  test.each([Number.POSITIVE_INFINITY, 2 ** 31, Number.MAX_SAFE_INTEGER])('of %d ms never comes', async (timeout) => {
    const errors = reported()
    const { session } = start('Hello')
    const slow = door()
    const signals: AbortSignal[] = []
    const handle = session.on(
      'run-started',
      async (_, __, { signal }) => {
        signals.push(signal)
        await slow.pass()
      },
      { timeout },
    )
    await session.send('Hi').result
    // A delay that timers don't know fires with the next ones.
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(signals.map(({ aborted }) => aborted)).toEqual([false])
    expect(errors).toEqual([])
    slow.open()
    handle.abort()
  })
})

describe('concurrency', () => {
  test.each([0, -1, 0.5, Number.NaN, 'two'])('of %s is refused, and nobody listens', async (concurrency) => {
    const { session } = start('Hello')
    const handler = vi.fn()
    expect(() => session.on('any', handler, { concurrency: concurrency as number })).toThrowError(
      expect.objectContaining({ name: 'AgentError', code: 'invalid-argument' }),
    )
    await session.send('Hi').result
    expect(handler).not.toHaveBeenCalled()
  })

  test('of Infinity is what there is from the start', async () => {
    const { session } = start('Hello')
    const handler = vi.fn()
    session.on('run-started', handler, { concurrency: Number.POSITIVE_INFINITY })
    await session.send('Hi').result
    expect(handler).toHaveBeenCalledOnce()
  })
})

describe("a signal's listener", () => {
  function counted() {
    const { signal } = new AbortController()
    const hooks = new Set<unknown>()
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (kind: string, listener: EventListener, options?: AddEventListenerOptions) => {
      hooks.add(listener)
      add(kind, listener, options)
    }
    signal.removeEventListener = (kind: string, listener: EventListener) => {
      hooks.delete(listener)
      remove(kind, listener)
    }
    return { signal, hooks }
  }

  test('is removed when its handle is aborted or disposed', () => {
    const { session } = start()
    const { signal, hooks } = counted()
    const handle = session.on('any', () => {}, { signal })
    expect(hooks.size).toBe(1)
    handle.abort()
    expect(hooks.size).toBe(0)
    {
      using _other = session.on('any', () => {}, { signal })
    }
    expect(hooks.size).toBe(0)
  })

  test('is removed when it is cancelled from inside', async () => {
    const { session } = start('Hello')
    const { signal, hooks } = counted()
    session.on('any', (_, __, { cancel }) => cancel(), { signal })
    await session.send('Hi').result
    expect(hooks.size).toBe(0)
  })

  test('is removed when its run has ended, and its last handler with it', async () => {
    const { session } = start('Hello')
    const { signal, hooks } = counted()
    const slow = door()
    const run = session.send('Hi')
    const quick = run.on('any', () => {}, { signal })
    const late = run.on('run-completed', () => slow.pass(), { signal })
    await run.result
    expect(quick.finished).toBe(true)
    expect(late.finished).toBe(false)
    expect(hooks.size).toBe(1)
    slow.open()
    await waitFor(() => expect(late.finished).toBe(true))
    expect(hooks.size).toBe(0)
  })
})

describe('a listener of a run', () => {
  test('that comes after its end is finished at once, and hears nothing', async () => {
    const { session } = start('Hello', 'Again')
    const run = session.send('Hi')
    await run.result
    const handler = vi.fn()
    expect(run.on('any', handler).finished).toBe(true)
    await session.send('And now?').result
    expect(handler).not.toHaveBeenCalled()
  })

  test('that comes after its failure is finished at once', async () => {
    const { session } = start()
    const run = session.send('')
    await run.result.catch(() => {})
    expect(run.on('any', () => {}).finished).toBe(true)
  })

  test('that was looked up leaves with its end', async () => {
    const { session, runtime } = start('Hello')
    const { runId, result } = session.send('Hi')
    await result
    const looked = runtime.runs.get(runId)
    await looked.result
    expect(looked.on('any', () => {}).finished).toBe(true)
  })
})

describe('a listener that a handler adds', () => {
  test('does not hear the event that is being told', async () => {
    const { session, runtime } = start('Hello')
    let calls = 0
    const again = () => {
      if (calls++ < 100) runtime.on('run-started', again)
    }
    runtime.on('run-started', again)
    await session.send('Hi').result
    expect(calls).toBe(1)
  })

  test('hears the next one', async () => {
    const { session } = start('one two')
    const told: string[] = []
    let added = false
    session.on('text-delta', () => {
      if (added) return
      added = true
      session.on('text-delta', ({ delta }) => void told.push(delta))
    })
    await session.send('Hi').result
    expect(told).toEqual([' two'])
  })
})
