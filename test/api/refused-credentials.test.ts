import { connect } from 'turnloop'
import { createRuntime, defineAgent, memoryStore, serve } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { record } from '../runtime/record.ts'

function start() {
  const seen: unknown[] = []
  const model = scriptedModel([reply.text('Hello'), reply.text('Again')])
  const agent = defineAgent({
    name: 'assistant',
    model: ({ credentials }) => {
      seen.push(credentials)
      return model
    },
  })
  const runtime = createRuntime(agent, { store: memoryStore() })
  onTestFinished(() => runtime.close())
  const { port1, port2 } = new MessageChannel()
  serve(runtime, port2)
  return { runtime, seen, port: port1 }
}

function connected() {
  const { port, seen, runtime } = start()
  const page = connect<typeof runtime>(port, { credentials: 'good' })
  onTestFinished(() => page.close())
  return { page, seen }
}

const refused = expect.objectContaining({ name: 'AgentError', code: 'invalid-argument' })
const uncloneable = { token: () => 'secret' }

describe('credentials that can not be cloned', () => {
  test('are refused by connect', () => {
    const { port } = start()
    expect(() => connect(port, { credentials: uncloneable })).toThrowError(refused)
  })

  test('are refused by setCredentials, before the worker was reached and after', async () => {
    const { page } = connected()
    expect(() => page.setCredentials(uncloneable)).toThrowError(refused)
    await page.sessions.list()
    expect(() => page.setCredentials(uncloneable)).toThrowError(refused)
  })

  test('leave those that were there, and every listener', async () => {
    const { page, seen } = connected()
    expect(() => page.setCredentials(uncloneable)).toThrowError(refused)
    const heard = record(page)
    await page.session('trip').send('Hi').result
    expect(() => page.setCredentials(uncloneable)).toThrowError(refused)
    await page.session('trip').send('Hi').result
    expect(seen).toEqual(['good', 'good'])
    expect(heard.of('run-completed')).toHaveLength(2)
  })

  test('are as good as any within one realm', async () => {
    const { runtime, seen } = start()
    runtime.setCredentials(uncloneable)
    await runtime.run({ input: 'Hi' }).result
    expect(seen).toEqual([uncloneable])
  })
})

test('credentials are what they were when they were set, whatever becomes of them', async () => {
  const { page, seen } = connected()
  const credentials = { key: 'first' }
  page.setCredentials(credentials)
  credentials.key = 'second'
  await page.session('trip').send('Hi').result
  expect(seen).toEqual([{ key: 'first' }])
})
