import { describe, expect, it } from 'vitest'
import { waitFor } from '../wait-for.ts'
import { failureOf } from './fixtures/failures.ts'
import { Heard } from './fixtures/heard.ts'
import { workplace } from './fixtures/real-worker.ts'

describe('over a port', () => {
  it('an input steers the run that is under way, and its handle follows that run', async () => {
    const place = workplace()
    const session = place.open().session('s')
    const run = session.send('first')
    const call = await place.model.next()
    const other = session.send('second', { whenBusy: 'steer' })
    const heard = new Heard()
    other.on('any', heard.hear)
    await session.view.ready
    call.toolCall('c1', 'add', { a: 1, b: 2 })
    call.finish()
    ;(await place.model.next()).say('Three')
    expect(await other.result).toEqual(await run.result)
    expect(other.runId).toBe(run.runId)
    expect(heard.durable.map(({ kind }) => kind)).toContain('input-delivered')
    expect(heard.durable.at(-1)).toMatchObject({ kind: 'run-completed', runId: run.runId })
  })

  it('receipts, and handles of inputs that steer, outlast the loss of the worker', async () => {
    const place = workplace()
    const session = place.open().session('s')
    const run = session.send('first')
    await place.model.next()
    const { delivered } = await run.steer('second')
    const other = session.send('third', { whenBusy: 'steer' })
    await waitFor(async () => expect((await session.view.ready).queue).toHaveLength(2))
    place.kill()
    ;(await place.model.next()).say('Once')
    await delivered
    expect(await other.result).toEqual(await run.result)
    expect(other.runId).toBe(run.runId)
  })

  it('a step whose worker is lost comes to stand, and the next one gives its turn anew', async () => {
    const place = workplace()
    const session = place.open().session('s')
    const stepped = session.step('Hi')
    await place.model.next()
    place.kill()
    expect(await stepped).toMatchObject({ status: 'needs-more-turns', text: '' })
    const next = session.step()
    ;(await place.model.next()).say('Whole')
    expect(await next).toMatchObject({ status: 'done', text: 'Whole' })
  })

  it('an open run is steered and closed, and a step hands calls out', async () => {
    const place = workplace()
    const session = place.open().session('s')
    const run = session.open()
    await run.steer('first')
    ;(await place.model.next()).say('One')
    expect(await run.close()).toMatchObject({ status: 'completed', text: 'One' })
    expect(await failureOf(run.steer('late'))).toMatchObject({ code: 'not-resumable' })
    const step = session.step('Add', { tools: 'external' })
    const call = await place.model.next()
    call.toolCall('c1', 'add', { a: 1, b: 2 })
    call.finish()
    expect(await step).toMatchObject({ status: 'pending-tool-calls', toolCalls: [{ toolCallId: 'c1' }] })
    expect(await failureOf(session.step())).toMatchObject({ code: 'missing-tool-output' })
    await session.addToolOutput({ tool: 'add', toolCallId: 'c1', output: 4 })
    const last = session.step()
    ;(await place.model.next()).say('Four')
    expect(await last).toMatchObject({ status: 'done', text: 'Four' })
  })
})
