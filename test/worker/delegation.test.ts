import { type AnyEvent, connect, type RunTree, type View } from 'turnloop'
import { describe, expect, it, onTestFinished } from 'vitest'
import { waitFor } from '../wait-for.ts'
import type { runtime } from './fixtures/delegating.worker.ts'
import { modelFeeder } from './fixtures/far-model.ts'
import { workplace } from './fixtures/real-worker.ts'

const delegatingWorker = (name: string) =>
  new Worker(new URL('./fixtures/delegating.worker.ts', import.meta.url), { type: 'module', name })

function delegation() {
  const place = workplace(delegatingWorker)
  const feeder = (agent: string) => {
    const model = modelFeeder(`${place.name} ${agent}`)
    onTestFinished(() => model.close())
    return model
  }
  const open = () => {
    const page = connect<typeof runtime>(place.startWorker)
    onTestFinished(() => page.close())
    return page
  }
  return { place, open, page: open(), lead: feeder('lead'), scout: feeder('scout'), helper: feeder('helper') }
}

function watched(tree: View<RunTree | undefined>) {
  onTestFinished(tree.subscribe(() => {}))
  return (isIt: (tree: RunTree) => boolean) =>
    waitFor(() => {
      const now = tree.getSnapshot()
      if (!now || !isIt(now)) throw new Error(`The tree is ${JSON.stringify(now)}`)
      return now
    })
}

async function calls(model: ReturnType<typeof modelFeeder>, agent: string, options = {}) {
  const call = await model.next()
  call.toolCall(crypto.randomUUID(), 'agent_run', { agent, prompt: 'Look', ...options })
  call.finish()
}

const told = (events: readonly AnyEvent[]) => events.map(({ kind, agent }) => `${agent} ${kind}`)

describe('agents that start agents in a worker', () => {
  it('wait for those in the foreground, whose answers are the results of their calls', async () => {
    const { page, lead, scout, helper } = delegation()
    const heard: AnyEvent[] = []
    const run = page.session('s').send('Go')
    run.on(['run-started', 'text-delta', 'run-completed'], (event) => void heard.push(event as AnyEvent), {
      descendants: true,
    })
    const until = watched(page.runs.tree(run.runId) as View<RunTree | undefined>)
    await calls(lead, 'scout')
    await calls(scout, 'helper')
    const answer = await helper.next()
    const tree = await until(({ children }) => children[0]?.children[0]?.phase === 'model')
    expect(tree).toMatchObject({
      agent: 'lead',
      status: 'waiting',
      waitingFor: 'child',
      children: [{ agent: 'scout', status: 'waiting', children: [{ agent: 'helper', status: 'running' }] }],
    })
    answer.say('Found.')
    ;(await scout.next()).say('Told.')
    const last = await lead.next()
    expect(JSON.stringify(last.prompt)).toContain('Told.')
    last.say('Done.')
    expect((await run.result).text).toBe('Done.')
    expect(told(heard)).toEqual([
      'lead run-started',
      'scout run-started',
      'helper run-started',
      'helper text-delta',
      'helper run-completed',
      'scout text-delta',
      'scout run-completed',
      'lead text-delta',
      'lead run-completed',
    ])
    await until(({ status, children }) => status === 'completed' && children[0]?.status === 'completed')
  })

  it('go on beside those in the background, which code can start, too', async () => {
    const { page, lead, scout, helper } = delegation()
    const run = page.session('s').send('Go')
    const until = watched(page.runs.tree(run.runId) as View<RunTree | undefined>)
    await calls(lead, 'helper', { background: true })
    const found = await helper.next()
    const leads = await lead.next()
    const child = page.run({ agent: 'scout', input: 'Look around', parent: run.runId })
    const looked = await scout.next()
    const { children } = await until((tree) => tree.children.length === 2)
    expect(children).toMatchObject([
      { agent: 'helper', background: true },
      { agent: 'scout', runId: child.runId, background: true },
    ])
    looked.say('All clear.')
    expect((await child.result).text).toBe('All clear.')
    leads.say('Meanwhile.')
    found.say('Found.')
    const last = await lead.next()
    last.say('Done.')
    expect((await run.result).text).toBe('Done.')
    await until(({ status }) => status === 'completed')
    const under = await page.sessions.list({ parent: 's' })
    expect(under.map(({ agent }) => agent).sort()).toEqual(['helper', 'scout'])
    await expect(page.run({ agent: 'helper', input: 'More', parent: run.runId }).result).rejects.toMatchObject({
      code: 'not-resumable',
    })
  })

  it('stop with the run above, leaves first', async () => {
    const { page, lead, scout, helper } = delegation()
    const run = page.session('s').send('Go')
    const ends: AnyEvent[] = []
    run.on('run-stopped', (event) => void ends.push(event as AnyEvent), { descendants: true })
    const until = watched(page.runs.tree(run.runId) as View<RunTree | undefined>)
    await calls(lead, 'scout')
    await calls(scout, 'helper', { background: true })
    const [call] = await Promise.all([helper.next(), scout.next()])
    await until(({ children }) => children[0]?.children.length === 1)
    await run.stop()
    await call.aborted
    expect(told(ends)).toEqual(['helper run-stopped', 'scout run-stopped', 'lead run-stopped'])
    const stopped = await until(({ status }) => status === 'stopped')
    expect(stopped.children[0]).toMatchObject({ status: 'stopped', children: [{ status: 'stopped' }] })
  })

  it('go on in the next worker where theirs is lost, and who listens and looks misses nothing', async () => {
    const { place, page, lead, scout, helper } = delegation()
    const run = page.session('s').send('Go')
    const heard: AnyEvent[] = []
    run.on('any', (event) => void heard.push(event as AnyEvent), { descendants: true })
    const until = watched(page.runs.tree(run.runId) as View<RunTree | undefined>)
    await calls(lead, 'scout')
    await calls(scout, 'helper')
    await helper.next()
    await until(({ children }) => children[0]?.children[0]?.phase === 'model')
    place.kill()
    ;(await helper.next()).say('Found.')
    ;(await scout.next()).say('Told.')
    ;(await lead.next()).say('Done.')
    expect((await run.result).text).toBe('Done.')
    const ended = await until(({ status }) => status === 'completed')
    expect(ended.children[0]).toMatchObject({ status: 'completed', children: [{ status: 'completed' }] })
    const sessions = Map.groupBy(
      heard.filter(({ kind }) => /^(run|user|assistant|tool-message|delegation|usage|turn-completed)/.test(kind)),
      ({ sessionId }) => sessionId,
    )
    expect(sessions.size).toBe(3)
    for (const events of sessions.values()) {
      const numbers = events.map(({ seq }) => seq)
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b))
      expect(events[0]?.kind).toBe('run-started')
      expect(events.at(-1)?.kind).toBe('run-completed')
    }
  })

  it('are seen in another tab, whoever looks there later too', async () => {
    const { open, page, lead, helper } = delegation()
    const run = page.session('s').send('Go')
    await calls(lead, 'helper')
    const answer = await helper.next()
    const other = open()
    const until = watched(other.runs.tree(run.runId) as View<RunTree | undefined>)
    await until(({ children }) => children[0]?.status === 'running')
    answer.say('Found.')
    ;(await lead.next()).say('Done.')
    await run.result
    const ended = await until(({ status, children }) => status === 'completed' && children[0]?.status === 'completed')
    const fresh = open()
    expect(await fresh.runs.tree(run.runId).ready).toEqual(ended)
  })
})
