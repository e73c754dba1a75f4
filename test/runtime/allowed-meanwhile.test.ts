import { createRuntime, defineAgent, jsonSchema, memoryStore, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { record } from './record.ts'
import { door } from './stores.ts'

interface Options {
  readonly serial?: boolean
  readonly maxToolCalls?: number
}

/** A turn that calls a tool which takes its time, and one about which a person is asked. */
function start({ serial = false, maxToolCalls = 10 }: Options = {}) {
  const slow = door()
  const begun: string[] = []
  const inputSchema = jsonSchema<object>({ type: 'object' })
  const tools = {
    slow: tool({
      inputSchema,
      serial,
      execute: () => {
        begun.push('slow')
        return slow.pass('slow')
      },
    }),
    send: tool({
      inputSchema,
      approval: 'always',
      execute: () => {
        begun.push('send')
        return 'sent'
      },
    }),
  }
  const model = scriptedModel([reply.all(reply.call('slow', {}), reply.call('send', {})), reply.text('Done.')])
  const agent = defineAgent({ name: 'clerk', model, tools, limits: { maxToolCalls } })
  const runtime = createRuntime(agent, { store: memoryStore() })
  onTestFinished(() => runtime.close())
  const heard = record(runtime)
  const run = runtime.session('s').send('Go')
  /** Once the slow tool works. */
  const allow = async () => {
    await slow.reached
    const [approval] = await runtime.approvals.ready
    if (approval?.reason !== 'policy') throw new Error('Nobody is asked.')
    await runtime.approvals.answer(approval, { decision: 'allow-once' })
  }
  return { slow, begun, heard, run, allow, model }
}

describe('a call that a person allows while another one is carried out', () => {
  test('starts at once, beside it', async () => {
    const { slow, begun, heard, run, allow, model } = start()
    await allow()
    await heard.when('tool-execution-finished')
    expect(begun).toEqual(['slow', 'send'])
    slow.open()
    await run.result
    expect(model.calls[1]?.prompt.at(-1)).toMatchObject({
      content: [{ output: { value: 'slow' } }, { output: { value: 'sent' } }],
    })
  })

  test('waits for one that is to run alone', async () => {
    const { slow, begun, heard, run, allow } = start({ serial: true })
    await allow()
    await heard.when('approval-resolved')
    expect(begun).toEqual(['slow'])
    slow.open()
    await run.result
    expect(begun).toEqual(['slow', 'send'])
  })

  test('does not start where the run has as many as it may', async () => {
    const { slow, begun, heard, run, allow } = start({ maxToolCalls: 1 })
    await allow()
    await heard.when('approval-resolved')
    slow.open()
    expect((await run.result).reason).toBe('tool-calls')
    expect(begun).toEqual(['slow'])
  })
})
