import type { AppOf, MessagePart, ToolPart } from 'turnloop'
import { createRuntime, memoryStore, serve } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { afterEach, expect, test, vi } from 'vitest'
import { guide, type runtime } from '../../docs/examples/page-tools/agent.worker.ts'
import { waitFor } from '../wait-for.ts'

type App = AppOf<typeof runtime>

afterEach(() => {
  vi.unstubAllGlobals()
  document.body.replaceChildren()
})

test('the page carries a tool out, and its user another', async () => {
  const model = scriptedModel([
    reply.call('highlight', { selector: 'h2' }),
    reply.call('pick_date', { question: 'When do you come?' }),
    reply.text('See you then.'),
  ])
  // In place of the worker, the same runtime behind the same kind of port.
  const Port = class {
    constructor() {
      const { port1, port2 } = new MessageChannel()
      serve(createRuntime(guide, { model, store: memoryStore() }), port2)
      // biome-ignore lint/correctness/noConstructorReturn: what `connect` takes instead of a worker
      return port1
    }
  }
  vi.stubGlobal('Worker', Port)
  document.body.innerHTML = '<h2>One</h2><h2>Two</h2><h3>Three</h3>'
  const { agent, session, dateField } = await import('../../docs/examples/page-tools/main.ts')

  const run = session.send('Show me around')
  const isCall = (part: MessagePart<App>): part is ToolPart<App> => part.type.startsWith('tool-')
  const unsubscribe = session.view.subscribe(() => {
    const parts = session.view.getSnapshot().messages.at(-1)?.parts ?? []
    const fields = parts.filter(isCall).flatMap((part) => dateField(part) ?? [])
    if (fields.length > 0 && !document.querySelector('input')) document.body.append(...fields)
  })

  const field = await waitFor(() => {
    const found = document.querySelector<HTMLInputElement>('input[type=date]')
    expect(found?.ariaLabel).toBe('When do you come?')
    expect(session.view.getSnapshot().run).toMatchObject({ phase: 'waiting', waitingFor: 'tool-results' })
    return found as HTMLInputElement
  })
  expect(document.querySelectorAll('h2.highlight')).toHaveLength(2)
  field.value = '2027-05-01'
  field.dispatchEvent(new Event('change'))

  expect((await run.result).text).toBe('See you then.')
  const results = model.calls[2]?.prompt.filter(({ role }) => role === 'tool')
  expect(results).toMatchObject([
    { content: [{ output: { value: { found: 2 } } }] },
    { content: [{ output: { value: { date: '2027-05-01' } } }] },
  ])
  unsubscribe()
  await agent.close()
})
