import { createRuntime, defineAgent, indexedDbStore, memoryStore, type Store } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { changeOf, claimed, grantOf } from '../sessions/fixtures.ts'
import { mortal } from './stores.ts'

const stores: readonly (readonly [string, () => Store])[] = [
  ['memory', () => memoryStore()],
  ['indexedDB', () => indexedDbStore({ name: `test-${crypto.randomUUID()}` })],
]

describe.each(stores)('the grants of a session, %s,', (_, makeStore) => {
  const newStore = () => {
    const store = makeStore()
    onTestFinished(() => store.close())
    return store
  }
  const tab = (store: Store, now = Date.now) => {
    const agent = defineAgent({ name: 'assistant', model: scriptedModel([reply.text('Hello')]) })
    const runtime = createRuntime(agent, { store: mortal(store), now })
    onTestFinished(() => runtime.close())
    return runtime.session('s').grants
  }
  /** As the commit of an answer leaves them. */
  const given = async (store: Store, ...grants: ReturnType<typeof grantOf>[]) => {
    const claim = await claimed(store, 's')
    await store.commit(changeOf(claim, { grants }))
    claim.release()
  }
  const keysIn = ({ getSnapshot }: ReturnType<typeof tab>) => getSnapshot().map(({ actionKey }) => actionKey)

  test('are a view, without what is nobody’s business', async () => {
    const store = newStore()
    const grants = tab(store)
    expect(await grants.ready).toEqual([])
    await given(store, grantOf('pay\nshop'), grantOf('mail', { expiresAt: 9e12 }))
    expect(await grants.ready).toEqual([
      { actionKey: 'mail', toolName: 'tool', grantedAt: 1, expiresAt: 9e12 },
      { actionKey: 'pay\nshop', toolName: 'tool', grantedAt: 1 },
    ])
  })

  test('are current in every tab, whoever gives them or takes them back', async () => {
    const store = newStore()
    const [here, there] = [tab(store), tab(store)]
    onTestFinished(here.subscribe(() => {}))
    onTestFinished(there.subscribe(() => {}))
    await Promise.all([here.ready, there.ready])
    await given(store, grantOf('pay'), grantOf('mail'))
    await expect
      .poll(() => [keysIn(here), keysIn(there)])
      .toEqual([
        ['mail', 'pay'],
        ['mail', 'pay'],
      ])
    const [mail] = here.getSnapshot()
    expect(await there.revoke('pay')).toBe(true)
    await expect.poll(() => [keysIn(here), keysIn(there)]).toEqual([['mail'], ['mail']])
    expect(here.getSnapshot()[0]).toBe(mail)
    expect(await here.revoke('pay')).toBe(false)
  })

  test('leave with their session', async () => {
    const store = newStore()
    await given(store, grantOf('pay'))
    const grants = tab(store)
    onTestFinished(grants.subscribe(() => {}))
    expect(await grants.ready).toHaveLength(1)
    await store.deleteSession('s')
    await expect.poll(() => grants.getSnapshot()).toEqual([])
  })

  test('hold until they expire: then they leave by themselves', async () => {
    const store = newStore()
    let time = 1000
    await given(store, grantOf('pay', { expiresAt: 1020 }), grantOf('old', { expiresAt: 1000 }), grantOf('mail'))
    const grants = tab(store, () => time)
    onTestFinished(grants.subscribe(() => {}))
    await grants.ready
    expect(keysIn(grants)).toEqual(['mail', 'pay'])
    time = 1020
    await expect.poll(() => keysIn(grants)).toEqual(['mail'])
  })
})
