import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { careful, planner } from '../../docs/examples/control/agent.ts'
import { modelPicker, statusLine } from '../../docs/examples/control/page.ts'
import { waitFor } from '../wait-for.ts'

/** A pause that lasts until the run ends. */
const never = (_ms: number, signal: AbortSignal) =>
  new Promise<void>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))

describe('the examples of a run under control', () => {
  it('decide which model takes over', async () => {
    const models = { careful: scriptedModel([reply.fail(400)]), fast: scriptedModel([reply.text('Hello.')]) }
    await using runtime = createRuntime(careful, { models, store: memoryStore() })
    expect((await runtime.session().send('Hi').result).text).toBe('Hello.')
    expect(models.careful.calls).toHaveLength(1)
  })

  it('say what a run waits for', async () => {
    const model = scriptedModel([reply.fail(500)])
    const runtime = createRuntime(planner, { model, store: memoryStore(), sleep: never })
    onTestFinished(() => runtime.close())
    const session = runtime.session('trip')
    onTestFinished(session.view.subscribe(() => {}))
    onTestFinished(runtime.info.subscribe(() => {}))
    const line = () => statusLine(session.view.getSnapshot(), runtime.info.getSnapshot())
    session.send('Hi')
    await waitFor(() => expect(line()).toBe('Attempt 1 failed, the next one comes soon … context 0 % full'))
    session.send('Are you there?')
    await waitFor(() => expect(line()).toBe('Attempt 1 failed, the next one comes soon … 1 waiting context 0 % full'))
  })

  it('say what a session has cost, and how full its context is', async () => {
    const usage = { inputTokens: 136_000, outputTokens: 0 }
    const model = scriptedModel([reply.text('Hello.')], { modelId: 'gpt-5-mini', usage })
    await using runtime = createRuntime(planner, { model, store: memoryStore() })
    const session = runtime.session('trip')
    await session.send('Hi').result
    const line = statusLine(await session.view.ready, await runtime.info.ready)
    expect(line).toBe('cost so far: 0.03 context 50 % full')
  })

  it.runIf(typeof document === 'object')('choose the model of a session', async () => {
    const models = { careful: scriptedModel([]), fast: scriptedModel([reply.text('Hello.')]) }
    await using runtime = createRuntime(careful, { models, store: memoryStore() })
    const { models: known } = await runtime.info.ready
    const session = runtime.session('trip')
    const picker = modelPicker(session, await runtime.info.ready)
    expect([...picker.options].map(({ value }) => value)).toEqual(known.map(({ name }) => name))
    await session.send('Hi').result.catch(() => {})
    picker.value = 'fast'
    picker.dispatchEvent(new Event('change'))
    await waitFor(async () => expect((await session.view.ready).model).toBe('fast'))
    expect((await session.send('Again').result).text).toBe('Hello.')
  })
})
