import { createRuntime, defineAgent, jsonSchema, memoryStore, tool } from 'turnloop/runtime'
import { reply } from 'turnloop/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { mortal } from '../runtime/stores.ts'
import { waitFor } from '../wait-for.ts'
import { family, helperAgent, scripted, start, started } from './family.ts'

const mail = tool({ inputSchema: jsonSchema<object>({ type: 'object' }), approval: 'always', execute: () => 'sent' })

function clerk(store = memoryStore()) {
  const helper = scripted(reply.call('mail', { to: 'ada' }), reply.text('Sent.'))
  const lead = scripted(start('Write to Ada'), reply.text('Done.'))
  return family(lead, [helperAgent(helper, { tools: { mail } })], { store })
}

describe('a question of a delegated run', () => {
  it('stands in the view of the session at the top, until it is answered there', async () => {
    const { runtime, heard } = clerk()
    const session = runtime.session('s')
    const shown: number[] = []
    onTestFinished(session.view.subscribe(() => shown.push(session.view.getSnapshot().approvals.length)))
    const run = session.send('Ask')
    await waitFor(() => expect(session.view.getSnapshot().approvals).toHaveLength(1))
    const [approval] = session.view.getSnapshot().approvals
    const [childId] = started(heard)
    expect(approval).toMatchObject({ sessionId: childId, path: ['lead', 'helper'], toolName: 'mail' })
    expect(approval?.ancestors).toEqual([{ runId: run.runId, sessionId: 's', agent: 'lead' }])
    await runtime.approvals.answer(approval as never, { decision: 'allow-once' } as never)
    expect((await run.result).text).toBe('Done.')
    await waitFor(() => expect(session.view.getSnapshot().approvals).toEqual([]))
    expect(Math.max(...shown)).toBe(1)
  })

  it('is there after a reload, too, and in other tabs, but in no other session', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const { runtime, heard } = clerk(alive)
    runtime
      .session('s')
      .send('Ask')
      .result.catch(() => {})
    const { approval } = await heard.when('approval-requested')
    await heard.when('run-waiting', ({ waitingFor }) => waitingFor === 'approval')
    const other = createRuntime(
      defineAgent({
        name: 'lead',
        model: scripted(),
        delegates: [helperAgent(scripted(), { tools: { mail } }) as never],
      }),
      { store: mortal(store) },
    )
    onTestFinished(() => void other.close())
    const { view } = other.session('s')
    onTestFinished(view.subscribe(() => {}))
    await waitFor(() => expect(view.getSnapshot().approvals).toMatchObject([{ id: approval.id }]))
    const elsewhere = other.session('elsewhere').view
    onTestFinished(elsewhere.subscribe(() => {}))
    await elsewhere.ready
    expect(elsewhere.getSnapshot().approvals).toEqual([])
  })

  it('leaves a snapshot as it is where nothing is asked anew', async () => {
    const { runtime } = clerk()
    const { view } = runtime.session('s')
    onTestFinished(view.subscribe(() => {}))
    const run = runtime.session('s').send('Ask')
    await waitFor(() => expect(view.getSnapshot().approvals).toHaveLength(1))
    const { approvals } = view.getSnapshot()
    await runtime.session('s').rename('Mails')
    await waitFor(() => expect(view.getSnapshot().title).toBe('Mails'))
    expect(view.getSnapshot().approvals[0]).toBe(approvals[0])
    run.abort()
  })
})
