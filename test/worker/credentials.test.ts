import { connect } from 'turnloop'
import { createRuntime, defineAgent, indexedDbStore, memoryStore, serve } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { failureOf } from './fixtures/failures.ts'
import { Tap } from './fixtures/port.ts'
import { recordsOf } from './fixtures/records.ts'

const key = 'sk-canary-1234567890'

function credentialed({ store = memoryStore(), make = (_: unknown) => {} } = {}) {
  const seen: unknown[] = []
  const agent = defineAgent({
    name: 'assistant',
    model: ({ credentials }) => {
      seen.push(credentials)
      make(credentials)
      return scriptedModel([reply.text('Hello')])
    },
  })
  const runtime = createRuntime(agent, { store })
  onTestFinished(() => runtime.close())
  return { runtime, seen }
}

function page(runtime: ReturnType<typeof credentialed>['runtime'], credentials?: unknown) {
  const { port1, port2 } = new MessageChannel()
  serve(runtime, port2)
  const tap = new Tap(port1)
  const connected = connect<typeof runtime>(
    tap as unknown as MessagePort,
    credentials === undefined ? {} : { credentials },
  )
  onTestFinished(() => connected.close())
  return { page: connected, tap }
}

describe('credentials', () => {
  it('of the connection reach the model function', async () => {
    const { runtime, seen } = credentialed()
    await page(runtime, { apiKey: key }).page.session('s').send('Hi').result
    expect(seen).toEqual([{ apiKey: key }])
  })

  it('that are set later, also in the task of the send, are those of the next turn', async () => {
    const { runtime, seen } = credentialed()
    const { page: connected } = page(runtime, 'first')
    await connected.session('s').send('Hi').result
    connected.setCredentials('second')
    await connected.session('s').send('Hi').result
    expect(seen).toEqual(['first', 'second'])
  })

  it('are handed to the worker that takes the place of a lost one', async () => {
    const places = [credentialed(), credentialed()]
    let used = 0
    const ports: MessagePort[] = []
    const connected = connect<(typeof places)[0]['runtime']>(
      () => {
        const { port1, port2 } = new MessageChannel()
        const place = places[used++]
        if (place) serve(place.runtime, port2)
        ports.push(port1)
        return port1
      },
      { credentials: 'first' },
    )
    onTestFinished(() => connected.close())
    await connected.session('s').send('Hi').result
    connected.setCredentials({ apiKey: key })
    ports[0]?.dispatchEvent(new Event('close'))
    await connected.session('s').send('Hi').result
    expect(places.map(({ seen }) => seen)).toEqual([['first'], [{ apiKey: key }]])
  })

  it('reach no event, no answer and no record', async () => {
    const name = `test-${crypto.randomUUID()}`
    onTestFinished(() => void indexedDB.deleteDatabase(name))
    const { runtime } = credentialed({ store: indexedDbStore({ name }) })
    const { page: connected, tap } = page(runtime, { apiKey: key })
    connected.on('any', () => {})
    connected.on(['chat-started', 'chat-text-delta', 'chat-finished'], () => {})
    await connected.session('s').send('Hi').result
    await connected.session('s').view.ready
    expect(tap.received.length).toBeGreaterThan(3)
    expect(JSON.stringify(tap.received)).not.toContain(key)
    expect(JSON.stringify(await recordsOf(name))).toContain('Hello')
    expect(JSON.stringify(await recordsOf(name))).not.toContain(key)
  })

  it('are not told where the model function fails and says them', async () => {
    const name = `test-${crypto.randomUUID()}`
    onTestFinished(() => void indexedDB.deleteDatabase(name))
    const { runtime } = credentialed({
      store: indexedDbStore({ name }),
      make: (credentials) => {
        throw new Error(`This is no key: ${(credentials as { apiKey: string }).apiKey}`)
      },
    })
    const { page: connected, tap } = page(runtime, { apiKey: key })
    connected.on('any', () => {})
    const error = await failureOf(connected.session('s').send('Hi').result)
    expect(error).toMatchObject({ code: 'model-failed', message: expect.stringContaining('This is no key') })
    expect(error.message).not.toContain(key)
    expect(JSON.stringify(tap.received)).not.toContain(key)
    expect(JSON.stringify(await recordsOf(name))).not.toContain(key)
  })

  it('that can’t be cloned are refused', async () => {
    const { runtime } = credentialed()
    const { page: connected } = page(runtime)
    await connected.sessions.list()
    expect(() => connected.setCredentials(() => key)).toThrow(/clone/)
  })
})
