import { createRoot } from 'react-dom/client'
import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { assistant } from '../../docs/examples/weather/src/agent.worker.ts'
import { Chat } from '../../docs/examples/weather/src/chat.tsx'
import { waitFor } from '../wait-for.ts'

test('the chat in React sends, shows the tool and the answer, stops, and tells of a failure', async () => {
  vi.stubGlobal('fetch', async () => Response.json({ celsius: 21 }))
  onTestFinished(() => {
    vi.unstubAllGlobals()
  })
  const model = scriptedModel([
    reply.call('forecast', { city: 'Porto' }),
    reply.text('It is warm.'),
    reply.hang(),
    reply.fail(429, { 'retry-after': '3600' }),
  ])
  const agent = createRuntime(assistant, { model, store: memoryStore() })
  const host = document.body.appendChild(document.createElement('main'))
  const root = createRoot(host)
  root.render(<Chat session={agent.session('trip')} />)
  const input = await waitFor(() => host.querySelector('input') ?? expect.unreachable())
  onTestFinished(async () => {
    root.unmount()
    host.remove()
    await agent.close()
  })

  const button = (name: string) => [...host.querySelectorAll('button')].find(({ textContent }) => textContent === name)
  const say = async (text: string) => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')?.set?.call(input, text)
    input.dispatchEvent(new Event('input', { bubbles: true }))
    await waitFor(() => expect(input.value).toBe(text))
    button('Send')?.click()
    await waitFor(() => expect(input.value).toBe(''))
  }

  await say('How warm is it in Porto?')
  await waitFor(() => expect(host.querySelector('[role=log]')?.textContent).toMatch(/Porto: 21 °C.*It is warm\.$/))
  expect(button('Stop')).toBeUndefined()

  await say('And tomorrow?')
  await waitFor(() => expect(button('Stop')).toBeDefined())
  button('Stop')?.click()
  await waitFor(() => expect(button('Stop')).toBeUndefined())

  await say('And then?')
  await waitFor(() => expect(host.querySelector('[role=alert]')?.textContent).toMatch(/429/))
})
