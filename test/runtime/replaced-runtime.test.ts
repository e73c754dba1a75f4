import { connect } from 'turnloop'
import { createRuntime, defineAgent, memoryStore, type Store, serve } from 'turnloop/runtime'
import { expect, onTestFinished, test } from 'vitest'
import { isDurable } from '../../src/events/kinds.ts'
import type { Said } from '../../src/sessions/records.ts'
import type { Change } from '../../src/sessions/store.ts'
import { manualModel } from './manual-model.ts'
import { type Recording, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

/** A page whose workers are runtimes on these stores, one after the other; `lose` ends the one of now for the page. */
function replaced(...stores: readonly Store[]) {
  const model = manualModel()
  const agent = defineAgent({ name: 'assistant', model })
  const ports: MessagePort[] = []
  const page = connect(() => {
    const store = stores[ports.length]
    if (!store) throw new Error('No store is left for another worker.')
    const { port1, port2 } = new MessageChannel()
    serve(createRuntime(agent, { store }), port2)
    ports.push(port1)
    return port1
  })
  onTestFinished(() => page.close())
  const lose = () => void ports.at(-1)?.dispatchEvent(new Event('close'))
  return { model, page, session: page.session('trip'), lose }
}

/** A store whose owner hears nothing more from the n-th commit on that gives its run this status. */
function silentAfter(store: Store, status: 'completed' | 'stopped', n = 1) {
  const committed = door()
  let times = 0
  const access = mortal(
    hooked(store, async (method, [change], call) => {
      const given = await call()
      if (method === 'commit' && (change as Change).run?.status === status && ++times === n) await committed.pass()
      return given
    }),
  )
  return { access, committed: committed.reached }
}

test('what was said to a run is heard once, although its worker is lost between writing and confirming it', async () => {
  const store = memoryStore()
  const said = door()
  const alive = mortal(
    hooked(store, async (method, [, , what], call) => {
      const given = await call()
      if (method === 'say' && (what as Said).type === 'steer') await said.pass()
      return given
    }),
  )
  const { session, model, lose } = replaced(alive, mortal(store))
  const run = session.send('first')
  await model.next()
  const steered = run.steer('in French')
  await said.reached
  alive.die()
  lose()
  await steered
  // A repeat of it would make another turn.
  const over = run.result.then(() => undefined)
  for (let call = await model.next(), turns = 1; call && turns <= 3; turns++) {
    call.finish()
    const next = await Promise.race([model.next(), over])
    if (!next) break
    call = next
  }
  const users = (await store.readMessages('trip', {})).filter(({ role }) => role === 'user')
  expect(users).toMatchObject([{ parts: [{ text: 'first' }] }, { parts: [{ text: 'in French' }] }])
})

test('a resumed run that ended as its worker was lost settles the handle that resumed it', async () => {
  const store = memoryStore()
  const { access, committed } = silentAfter(store, 'completed')
  const { page, session, model, lose } = replaced(access, mortal(store))
  const run = session.send('first')
  ;(await model.next()).text('Half')
  await run.stop()
  const again = page.runs.resume(run.runId)
  const call = await model.next()
  call.text('Whole')
  call.finish()
  await committed
  access.die()
  lose()
  expect(await again.result).toMatchObject({ status: 'completed', text: 'Whole' })
  expect(model.calls).toHaveLength(2)
})

test('a run that was resumed and stopped again is not resumed by the worker that takes the place of a lost one', async () => {
  const store = memoryStore()
  const { access, committed } = silentAfter(store, 'stopped', 2)
  const { page, session, model, lose } = replaced(access, mortal(store))
  const run = session.send('first')
  ;(await model.next()).text('Half')
  await run.stop()
  const again = page.runs.resume(run.runId)
  await model.next()
  await session.stop()
  await committed
  access.die()
  lose()
  const resumed = model.next().then(() => 'resumed')
  expect(await Promise.race([again.result.then(({ status }) => status), resumed])).toBe('stopped')
  expect(model.calls).toHaveLength(2)
})

test('listeners of everything hear each event once where a worker and the next one are lost', async () => {
  const store = memoryStore()
  const reading = door()
  const one = mortal(store)
  const two = mortal(
    hooked(store, async (method, _, call) => {
      if (method === 'readEvents') await reading.pass()
      return call()
    }),
  )
  const { page, session, model, lose } = replaced(one, two, mortal(store))
  const heard = record(page)
  const run = session.send('first')
  ;(await model.next()).text('Half')
  await heard.when('user-message-committed')
  one.die()
  // Committed by a runtime of which the page knows nothing.
  const other = manualModel()
  const elsewhere = createRuntime(defineAgent({ name: 'assistant', model: other }), { store: mortal(store) })
  const all = record(elsewhere.session('trip'), { since: 0 })
  ;(await other.next()).finish()
  await all.when('run-completed')
  lose()
  await reading.reached
  two.die()
  lose()
  await run.result
  await heard.when('run-completed')
  const stored = ({ events }: Recording) =>
    events.filter(({ kind }) => isDurable(kind)).map(({ kind, seq }) => `${seq} ${kind}`)
  expect(stored(heard)).toEqual(stored(all))
})
