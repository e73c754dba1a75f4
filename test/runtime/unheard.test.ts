import { createRuntime, defineAgent, memoryStore, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { afterEach, beforeEach, describe, expect, type MockInstance, onTestFinished, test, vi } from 'vitest'
import { z } from 'zod'
import { waitFor } from '../wait-for.ts'
import { manualClock } from './clock.ts'

describe('a run that waits for an approval', () => {
  let warn: MockInstance<typeof console.warn>
  beforeEach(() => {
    warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
  })
  afterEach(() => warn.mockRestore())

  /** Its model goes round in circles, about which somebody is asked. */
  function start() {
    const add = tool({ inputSchema: z.object({}), execute: () => 1 })
    const calls = Array.from({ length: 6 }, () => reply.call('add', {}))
    const agent = defineAgent({ name: 'assistant', model: scriptedModel(calls), tools: { add } })
    const clock = manualClock()
    const runtime = createRuntime(agent, { store: memoryStore(), ...clock })
    onTestFinished(() => runtime.close())
    const waiting = (id: string) =>
      new Promise<void>((resolve) => runtime.session(id).on('run-waiting', () => resolve(), { timeout: 10_000 }))
    return { runtime, waiting, clock }
  }

  test('says so on the console, once, where nobody hears of it', async () => {
    const { runtime, waiting, clock } = start()
    const first = waiting('one')
    runtime.session('one').send('Go')
    await first
    expect(await clock.asleep()).toBe(5000)
    clock.advance(5000)
    await waitFor(() => expect(warn).toHaveBeenCalledTimes(1))
    expect(warn).toHaveBeenCalledWith(expect.stringContaining('runtime.approvals'))
    const second = waiting('two')
    runtime.session('two').send('Go')
    await second
    clock.advance(5000)
    await runtime.session('two').stop()
    expect(warn).toHaveBeenCalledTimes(1)
  })

  test('says nothing where somebody comes a little later', async () => {
    const { runtime, waiting, clock } = start()
    const parked = waiting('one')
    runtime.session('one').send('Go')
    await parked
    await clock.asleep()
    runtime.approvals.subscribe(() => {})
    await runtime.approvals.ready
    clock.advance(5000)
    await runtime.session('one').stop()
    expect(warn).not.toHaveBeenCalled()
  })

  test.each<[string, (runtime: ReturnType<typeof start>['runtime']) => void]>([
    ['the view of all approvals', ({ approvals }) => void approvals.subscribe(() => {})],
    ['the session’s view', (runtime) => void runtime.session('one').view.subscribe(() => {})],
    ['a listener of approvals', (runtime) => void runtime.on('approval-requested', () => {})],
    ['a listener of everything', (runtime) => void runtime.session('one').on('any', () => {})],
  ])('says nothing where somebody does: %s', async (_, listen) => {
    const { runtime, waiting, clock } = start()
    listen(runtime)
    const parked = waiting('one')
    runtime.session('one').send('Go')
    await parked
    clock.advance(5000)
    await runtime.session('one').stop()
    expect(warn).not.toHaveBeenCalled()
  })
})
