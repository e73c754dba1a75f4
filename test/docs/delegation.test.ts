import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { careful, lead } from '../../docs/examples/delegation/agent.ts'
import { alsoAsk, logAll, showTree } from '../../docs/examples/delegation/page.ts'
import { waitFor } from '../wait-for.ts'

const ask = (prompt: string, more: object = {}) => reply.call('agent_run', { agent: 'researcher', prompt, ...more })

/** Answers by what it is asked, whoever asks. */
const model = () =>
  scriptedModel(
    Array.from({ length: 20 }, () => ({ prompt, tools = [] }) => {
      const isLead = tools.some(({ name }) => name === 'agent_run')
      if (!isLead) return reply.text('It is so.')
      return prompt.some(({ role }) => role === 'tool')
        ? reply.text('Compared.')
        : reply.all(ask('Porto'), ask('Lisbon'))
    }),
    { usage: { inputTokens: 10, outputTokens: 5 } },
  )

function start() {
  const runtime = createRuntime(lead, { model: model(), store: memoryStore() })
  onTestFinished(() => runtime.close())
  return { runtime, run: runtime.session('trip').send('Compare Porto and Lisbon') }
}

describe('the examples of delegated runs', () => {
  it('give each topic to a helper, and compare what they say', async () => {
    const { run } = start()
    expect(await run.result).toMatchObject({ text: 'Compared.', usage: { inputTokens: 40 } })
  })

  it('tell what all of them do', async () => {
    const { run } = start()
    const lines: string[] = []
    logAll(run, (line) => lines.push(line))
    await run.result
    expect(lines.filter((line) => line === 'lead → researcher: run-completed')).toHaveLength(2)
    expect(lines.at(-1)).toBe('lead: run-completed')
  })

  it('start a further one from code', async () => {
    const { runtime, run } = start()
    const further = alsoAsk(runtime, run.runId, 'Faro')
    expect((await further.result).text).toBe('It is so.')
    expect((await run.result).text).toBe('Compared.')
  })

  it('name the tools otherwise', async () => {
    const other = scriptedModel([reply.text('Hello.')])
    await using runtime = createRuntime(careful, { model: other, store: memoryStore() })
    await runtime.session().send('Hi').result
    expect(other.calls[0]?.tools?.map(({ name }) => name)).toEqual(['ask_helper', 'stop_helper', 'read_helper'])
  })

  it.runIf(typeof document === 'object')('draw the tree', async () => {
    const { runtime, run } = start()
    const list = document.createElement('ul')
    onTestFinished(showTree(runtime, run.runId, list))
    await run.result
    await waitFor(() =>
      expect([...list.querySelectorAll('li')].map((item) => item.firstChild?.textContent)).toEqual([
        'lead: completed, 60 tokens ',
        'researcher: completed, 15 tokens ',
        'researcher: completed, 15 tokens ',
      ]),
    )
  })
})
