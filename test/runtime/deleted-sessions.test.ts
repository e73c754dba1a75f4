import { createRuntime, defineAgent, indexedDbStore, memoryStore, type Store } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { isDurable } from '../../src/events/kinds.ts'
import { expectOrder, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

function start(store: Store) {
  const model = scriptedModel([reply.text('One'), reply.text('Two'), reply.text('Three')])
  const runtime = createRuntime(defineAgent({ name: 'assistant', model }), { store })
  return { runtime, model, session: runtime.session('trip') }
}

const stores = [
  ['in memory', memoryStore],
  ['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
] as const

describe.each(stores)('a session that is deleted and made again, %s,', (_, makeStore) => {
  function two() {
    const store = makeStore()
    onTestFinished(() => store.close())
    return [start(mortal(store)), start(mortal(store))] as const
  }

  test('by another runtime is heard from its first event on', async () => {
    const [here, there] = two()
    const heard = record(here.session)
    await there.session.send('first').result
    await heard.when('run-completed')
    await there.session.delete()
    await heard.when('session-deleted')
    const before = heard.events.length
    await there.session.send('second').result
    await heard.nth(2, 'run-completed')
    const again = heard.events.slice(before).filter(({ kind }) => isDurable(kind))
    expect(again[0]).toMatchObject({ kind: 'run-started', seq: 1, input: 'second' })
    expectOrder(again)
  })

  test('by another runtime shows so in the view', async () => {
    const [here, there] = two()
    onTestFinished(here.session.view.subscribe(() => {}))
    await here.session.view.ready
    await there.session.send('first').result
    await expect.poll(() => here.session.view.getSnapshot().messages).toHaveLength(2)
    await there.session.delete()
    await expect.poll(() => here.session.view.getSnapshot().messages).toEqual([])
    await there.session.send('second').result
    await expect
      .poll(() => here.session.view.getSnapshot())
      .toMatchObject({
        status: 'ready',
        messages: [
          { role: 'user', parts: [{ text: 'second' }] },
          { role: 'assistant', parts: [{ text: 'Two' }] },
        ],
      })
  })

  test('by the same runtime begins anew', async () => {
    const [{ session, model }] = two()
    const heard = record(session)
    await session.send('first').result
    await session.delete()
    const before = heard.events.length
    await session.send('second').result
    expectOrder(heard.events.slice(before).filter(({ kind }) => !kind.startsWith('session-')))
    expect(model.calls[1]?.prompt).toMatchObject([{ role: 'user', content: [{ text: 'second' }] }])
  })
})

const moments = ['readSession', 'readInbox', 'say', 'claim', 'commit', 'readMessages'] as const

describe('a deletion while a send is under way leaves nothing behind:', () => {
  test.each(moments)('at its first %s', async (moment) => {
    const held = door()
    let armed = true
    const inner = memoryStore()
    const store = hooked(inner, async (method, _, call) => {
      if (method === moment && armed) {
        armed = false
        await held.pass()
      }
      return call()
    })
    const { session, runtime, model } = start(store)
    const run = session.send('first')
    // Not every send comes by every one of them.
    await Promise.race([held.reached, run.result])
    armed = false
    const deleted = session.delete()
    held.open()
    await deleted
    await run.result.catch((error) => expect(error.name).toMatch(/AbortError|AgentError/))
    expect(await inner.readSession('trip', { messages: 10 })).toBeUndefined()
    expect(await inner.readInbox('trip')).toEqual([])
    expect(await inner.readRun(run.runId)).toBeUndefined()
    expect(await inner.readActiveRuns()).toEqual([])
    expect(await runtime.sessions.list()).toEqual([])
    const again = session.send('second')
    expect(await again.result).toMatchObject({ status: 'completed' })
    expect(model.calls.at(-1)?.prompt).toMatchObject([{ role: 'user', content: [{ text: 'second' }] }])
  })
})
