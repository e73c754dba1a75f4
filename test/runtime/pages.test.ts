import { connect } from 'turnloop'
import { createRuntime, defineAgent, memoryStore, serve, tool } from 'turnloop/runtime'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { problemsOf } from './check-prompt.ts'
import { manualModel } from './manual-model.ts'
import { answer, record } from './record.ts'
import { door, mortal } from './stores.ts'

function start(store = memoryStore(), model = manualModel()) {
  const working = door()
  const schemas = { inputSchema: z.object({}), outputSchema: z.string() }
  const tools = {
    pick: tool(schemas),
    look: tool({ ...schemas, idempotent: true }),
    work: tool({ inputSchema: z.object({}), execute: () => working.pass('worked') }),
  }
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools, limits: { maxTurns: 5 } }), { store })
  return { model, working, runtime, session: runtime.session('trip') }
}
type Runtime = ReturnType<typeof start>['runtime']

const portTo = (runtime: Runtime) => {
  const { port1, port2 } = new MessageChannel()
  serve(runtime, port2)
  return port1
}

describe('a call of a page tool', () => {
  test('that ignores its signal does not keep the run from ending; what it gives later is in the ledger alone', async () => {
    const store = memoryStore()
    const { runtime, session, model } = start(store)
    const picking = door()
    const page = connect<Runtime>(() => portTo(runtime), { pageTools: { pick: () => picking.pass('too late') } })
    onTestFinished(() => page.close())
    await page.sessions.list()
    const heard = record(session)
    const run = session.send('first')
    const call = await model.next()
    call.toolCall('pick', {}, 'a')
    call.finish('tool-calls')
    await picking.reached
    await run.stop()
    const told = heard.events.length
    picking.open()
    const row = async () => (await store.readCalls(run.runId))[0]
    await expect.poll(row).toMatchObject({ result: { outcome: 'failure' }, late: { output: 'too late' } })
    expect(heard.events).toHaveLength(told)
  })

  test('is carried out by a page that comes while another call runs, within the same turn', async () => {
    const { runtime, session, model, working } = start()
    const heard = record(session)
    session.send('first')
    const call = await model.next()
    call.toolCall('pick', {}, 'a')
    call.toolCall('work', {}, 'b')
    call.finish('tool-calls')
    await working.reached
    const page = connect<Runtime>(() => portTo(runtime), { pageTools: { pick: () => 'picked' } })
    onTestFinished(() => page.close())
    await page.sessions.list()
    working.open()
    const next = await model.next()
    expect(next.options.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool'])
    expect(problemsOf(next.options.prompt)).toEqual([])
    next.finish()
    await heard.when('run-completed')
    expect(heard.of('turn-completed')).toHaveLength(2)
  })

  test('that may be repeated waits for another page where its page goes away', async () => {
    const store = memoryStore()
    const { runtime, session, model } = start(store)
    const looking = door()
    const page = connect<Runtime>(() => portTo(runtime), { pageTools: { look: () => looking.pass('seen') } })
    await page.sessions.list()
    const heard = record(session)
    session.send('first')
    const call = await model.next()
    call.toolCall('look', {}, 'a')
    call.finish('tool-calls')
    await looking.reached
    let commits = 0
    const leave = store.watch(({ type }) => {
      // It must not try again and again: a test that never ends would tell nobody.
      if (type === 'committed' && ++commits > 50) session.abort()
    })
    onTestFinished(leave)
    await page.close()
    await Promise.race([heard.when('run-waiting'), heard.when('run-cancelled')])
    expect(commits).toBeLessThan(5)
    const other = connect<Runtime>(() => portTo(runtime), { pageTools: { look: () => 'seen' } })
    onTestFinished(() => other.close())
    await other.sessions.list()
    const next = await model.next()
    expect(next.options.prompt.at(-1)?.content).toMatchObject([{ output: { type: 'text', value: 'seen' } }])
    next.finish()
  })

  test('that its page carries out after all takes back the question of what became of it', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const first = start(alive)
    const second = start(mortal(store), first.model)
    let current = first.runtime
    const ports: MessagePort[] = []
    const open = () => {
      const port = portTo(current)
      ports.push(port)
      return port
    }
    const picking = door()
    const page = connect<Runtime>(open, { pageTools: { pick: () => picking.pass('picked') } })
    onTestFinished(() => page.close())
    page.session('trip').send('first')
    const call = await first.model.next()
    call.toolCall('pick', {}, 'a')
    call.finish('tool-calls')
    await picking.reached
    alive.die()
    current = second.runtime
    // The other page of a shared worker comes back first.
    const other = connect<Runtime>(open)
    onTestFinished(() => other.close())
    const heard = record(other.session('trip'), { since: 0 })
    const { approval } = await heard.when('approval-requested')
    ports[0]?.dispatchEvent(new Event('close'))
    await heard.nth(2, 'tool-execution-started')
    expect(heard.of('approval-resolved')).toMatchObject([
      { approvalId: approval.id, answer: { decision: 'withdrawn' } },
    ])
    await expect(answer(other, approval, { decision: 'supply-result', output: 'by hand' })).rejects.toMatchObject({
      code: 'unknown-approval',
    })
    picking.open()
    ;(await first.model.next()).finish()
    await heard.when('run-completed')
    expect(heard.of('tool-execution-finished')).toMatchObject([{ outcome: 'success', output: 'picked' }])
    expect(await other.approvals.ready).toEqual([])
  })
})
