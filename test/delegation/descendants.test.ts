import { type AnyEvent, createRuntime, defineAgent, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { waitFor } from '../wait-for.ts'

const usage = { inputTokens: 10, outputTokens: 5 }

function family({ store = memoryStore() } = {}) {
  const helper = defineAgent({ name: 'helper', model: scriptedModel([reply.text('Read.')], { usage }) })
  const scout = defineAgent({
    name: 'scout',
    model: scriptedModel([reply.call('agent_run', { agent: 'helper', prompt: 'Read' }), reply.text('Found.')], {
      usage,
    }),
    delegates: [helper],
  })
  const lead = defineAgent({
    name: 'lead',
    model: scriptedModel([reply.call('agent_run', { agent: 'scout', prompt: 'Look' }), reply.text('Done.')], { usage }),
    delegates: [scout],
  })
  const make = () => {
    const runtime = createRuntime(lead, { store })
    onTestFinished(() => runtime.close())
    return runtime
  }
  return { make, runtime: make() }
}

const agentsOf = (events: readonly AnyEvent[]) => [...new Set(events.map(({ agent }) => agent))]

describe('a listener with descendants', () => {
  it('hears on a run what all runs below it say, in every kind that it asked for', async () => {
    const { runtime } = family()
    const run = runtime.session('s').send('Go')
    const all: AnyEvent[] = []
    const own: AnyEvent[] = []
    run.on('any', (event) => void all.push(event as AnyEvent), { descendants: true })
    run.on('any', (event) => void own.push(event as AnyEvent))
    await run.result
    expect(agentsOf(all).sort()).toEqual(['helper', 'lead', 'scout'])
    expect(agentsOf(own)).toEqual(['lead'])
    expect(all.filter(({ kind }) => kind === 'run-completed').map(({ agent }) => agent)).toEqual([
      'helper',
      'scout',
      'lead',
    ])
    expect(all.some(({ kind, agent }) => kind === 'text-delta' && agent === 'helper')).toBe(true)
  })

  it('hears on a session the runs below its own, and nothing of other sessions', async () => {
    const { runtime } = family()
    const heard: AnyEvent[] = []
    runtime.session('other').on('any', () => expect.unreachable(), { descendants: true })
    runtime.session('s').on(['delegation-started', 'run-completed'], (event) => void heard.push(event as AnyEvent), {
      descendants: true,
    })
    await runtime.session('s').send('Go').result
    expect(heard.map(({ kind, agent }) => `${agent} ${kind}`)).toEqual([
      'lead delegation-started',
      'scout delegation-started',
      'helper run-completed',
      'scout run-completed',
      'lead run-completed',
    ])
  })

  it('hears runs that another runtime advances, each event once and from its beginning', async () => {
    const { runtime, make } = family()
    const heard: AnyEvent[] = []
    const other = make()
    other
      .session('s')
      .on(['run-started', 'run-completed'], (event) => void heard.push(event as AnyEvent), { descendants: true })
    await other.sessions.list()
    await runtime.session('s').send('Go').result
    await waitFor(() =>
      expect(heard.some(({ kind, agent }) => kind === 'run-completed' && agent === 'lead')).toBe(true),
    )
    await waitFor(() => expect(heard).toHaveLength(6))
    expect(heard.map(({ kind, agent }) => `${agent} ${kind}`).sort()).toEqual([
      'helper run-completed',
      'helper run-started',
      'lead run-completed',
      'lead run-started',
      'scout run-completed',
      'scout run-started',
    ])
  })

  it('is told nothing live of the runs below one that was aborted', async () => {
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const helper = defineAgent({
      name: 'helper',
      model: scriptedModel([() => held.then(() => reply.text('Late.') as never)]),
    })
    const lead = defineAgent({
      name: 'lead',
      model: scriptedModel([reply.call('agent_run', { agent: 'helper', prompt: 'Go' })]),
      delegates: [helper],
    })
    const runtime = createRuntime(lead, { store: memoryStore() })
    onTestFinished(() => runtime.close())
    const run = runtime.session('s').send('Go')
    const heard: AnyEvent[] = []
    run.on('any', (event) => void heard.push(event as AnyEvent), { descendants: true })
    await new Promise<void>((resolve) => {
      runtime.on('model-started', ({ agent }) => void (agent === 'helper' && resolve()))
    })
    run.abort()
    const before = heard.length
    release()
    await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
    const late = heard.slice(before).map(({ kind, agent }) => `${agent} ${kind}`)
    expect(late.at(-1)).toBe('lead run-cancelled')
    expect(late.filter((told) => /delta|model-|turn-started/.test(told))).toEqual([])
  })

  it('refuses to begin in the past', () => {
    const { runtime } = family()
    expect(() => runtime.session('s').on('any', () => {}, { since: 0, descendants: true })).toThrow(
      /without `descendants`/,
    )
  })
})
