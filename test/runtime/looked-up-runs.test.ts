import { createRuntime, defineAgent, memoryStore } from 'turnloop/runtime'
import { expect, test } from 'vitest'
import { manualModel } from './manual-model.ts'
import { expectOrder, record } from './record.ts'

const aborted = { name: 'AbortError' }

async function queued() {
  const model = manualModel()
  const runtime = createRuntime(defineAgent({ name: 'assistant', model }), { store: memoryStore() })
  const session = runtime.session('trip')
  const heard = record(session)
  const first = session.send('first')
  const call = await model.next()
  const second = session.send('second')
  await heard.nth(2, 'input-queued')
  return { model, runtime, session, heard, first, second, call }
}

test('a queued run that was looked up is withdrawn by an abort', async () => {
  const { runtime, heard, first, second, call, model } = await queued()
  const looked = runtime.runs.get(second.runId)
  looked.abort()
  await expect(second.result).rejects.toMatchObject(aborted)
  await expect(looked.result).rejects.toMatchObject(aborted)
  expect(heard.of('input-withdrawn')).toMatchObject([{ inputId: second.runId }])
  call.finish()
  await first.result
  expect(model.calls).toHaveLength(1)
  expectOrder(heard.events)
})

test('a queued run that was looked up is withdrawn by a stop', async () => {
  const { runtime, heard, first, second, call } = await queued()
  await expect(runtime.runs.get(second.runId).stop()).rejects.toMatchObject(aborted)
  await expect(second.result).rejects.toMatchObject(aborted)
  call.finish()
  await first.result
  expect(heard.of('run-started')).toHaveLength(1)
})

test('a run that was looked up right after its send is withdrawn by an abort', async () => {
  const { runtime, session, heard, first, call } = await queued()
  const third = session.send('third')
  runtime.runs.get(third.runId).abort()
  await expect(third.result).rejects.toMatchObject(aborted)
  call.finish()
  await first.result
  expect(heard.of('input-withdrawn')).toMatchObject([{ runId: third.runId }])
})
