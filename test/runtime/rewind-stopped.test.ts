import type { LanguageModelV4CallOptions } from '@ai-sdk/provider'
import { createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { type Reply, reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { problemsOf } from './check-prompt.ts'
import { expectOrder, record } from './record.ts'
import { mortal } from './stores.ts'

const words = (count: number) => 'word '.repeat(count).trim()
const isSummary = ({ prompt }: LanguageModelV4CallOptions) => /^Summarise/.test(String(prompt[0]?.content))

/** A runtime whose model soon needs summaries; what it says to a question is the test's. */
function start(store: Store, answer: (asked: string) => Reply) {
  const model = scriptedModel(
    Array.from({ length: 60 }, () => (call: LanguageModelV4CallOptions) => {
      if (isSummary(call)) return reply.text('Summary')
      const last = call.prompt.findLast(({ role }) => role === 'user')?.content
      return answer(JSON.stringify(last))
    }),
  )
  const pay = tool({ inputSchema: z.object({}), execute: () => new Promise<string>(() => {}) })
  const form = tool({ inputSchema: z.object({}), outputSchema: z.string() })
  const context = { window: 500, keep: 150 }
  const agent = defineAgent({ name: 'assistant', model, tools: { pay, form }, context })
  const runtime = createRuntime(agent, { store })
  const session = runtime.session('trip')
  return { model, runtime, session, heard: record(session, { since: 0 }) }
}

/** A run that was stopped with a call in doubt, a question about it, and a call of a page; older messages are summarised. */
async function stopped() {
  const store = memoryStore()
  const alive = mortal(store)
  const first = start(alive, (asked) =>
    asked.includes('Pay')
      ? reply.all(reply.call('pay', {}, { toolCallId: 'pay' }), reply.call('form', {}, { toolCallId: 'form' }))
      : reply.text(words(100)),
  )
  for (let n = 1; first.heard.of('context-compacted').length === 0; n++)
    await first.session.send(`question ${n}`).result
  const { runId } = first.session.send('Pay')
  await first.heard.when('tool-execution-started')
  alive.die()
  const second = start(store, () => reply.text('Fresh'))
  const { approval } = await second.heard.when('approval-requested')
  await second.heard.when('run-waiting', (event) => event.runId === runId)
  await second.runtime.runs.get(runId).stop({ after: 'turn' })
  expect((await second.session.view.ready).approvals).toEqual([approval])
  return { ...second, runId, approval, store }
}

describe('a run that was stopped with open calls, a question and a summary', () => {
  test('is answered anew on the same summary; its calls end, and nobody is asked any more', async () => {
    const { session, heard, model, approval, runId, store, runtime } = await stopped()
    const next = session.regenerate()
    expect(await next.result).toMatchObject({ status: 'completed', text: 'Fresh' })
    const { prompt } = model.calls[0] ?? { prompt: [] }
    expect(problemsOf(prompt)).toEqual([])
    expect(JSON.stringify(prompt)).toContain('Summary')
    expect(prompt.at(-1)).toMatchObject({ role: 'user', content: [{ text: 'Pay' }] })
    expect(JSON.stringify(prompt)).not.toContain('"pay"')
    expect(heard.of('approval-resolved')).toMatchObject([
      { approvalId: approval.id, answer: { decision: 'withdrawn' } },
    ])
    expect(heard.of('tool-execution-finished')).toMatchObject([{ toolCallId: 'pay', runId: next.runId }])
    expect(await store.readCalls(runId)).toMatchObject([{ toolCallId: 'pay', state: 'finished' }])
    expect(await runtime.approvals.ready).toEqual([])
    const { messages } = await session.view.ready
    expect(messages.slice(-2).map(({ role }) => role)).toEqual(['user', 'assistant'])
    expectOrder(heard.events)
  })

  test('is superseded by an edit of what was summarised, which then counts no more', async () => {
    const { session, heard, model } = await stopped()
    const [user] = await session.history()
    const next = session.send('Start over', { replaces: user?.id ?? '' })
    expect(await next.result).toMatchObject({ status: 'completed', text: 'Fresh' })
    expect(model.calls[0]?.prompt).toMatchObject([{ role: 'user', content: [{ text: 'Start over' }] }])
    expect(heard.of('tool-execution-finished')).toMatchObject([{ toolCallId: 'pay' }])
    expectOrder(heard.events)
  })
})
