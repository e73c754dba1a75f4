import { act } from 'react'
import { createRoot } from 'react-dom/client'
import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { assistant } from '../../docs/examples/weather/src/agent.worker.ts'
// docs/examples/weather/src/chat.tsx
import { Chat } from '../../docs/examples/weather/src/chat.tsx'

test('the chat in React sends, shows the tool and the answer, stops, and tells of a failure', async () => {
  vi.stubGlobal('fetch', async () => Response.json({ celsius: 21 }))
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true)
  onTestFinished(() => {
    vi.unstubAllGlobals()
  })
  const model = scriptedModel([
    reply.call('forecast', { city: 'Porto' }),
    reply.text('It is warm.'),
    reply.hang(),
    reply.fail(429),
  ])
  const agent = createRuntime(assistant, { model, store: memoryStore() })
  const host = document.body.appendChild(document.createElement('main'))
  const root = createRoot(host)
  await act(async () => root.render(<Chat session={agent.session('trip')} />))
  onTestFinished(async () => {
    await act(async () => root.unmount())
    host.remove()
    await agent.close()
  })

  const input = host.querySelector('input') as HTMLInputElement
  const button = (name: string) => [...host.querySelectorAll('button')].find(({ textContent }) => textContent === name)
  const say = (text: string) =>
    act(async () => {
      Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')?.set?.call(input, text)
      input.dispatchEvent(new Event('input', { bubbles: true }))
    }).then(() => act(async () => button('Send')?.click()))
  const eventually = (check: () => void) => vi.waitFor(() => act(async () => check()))

  await say('How warm is it in Porto?')
  await eventually(() => expect(host.querySelector('[role=log]')?.textContent).toMatch(/Porto: 21 °C.*It is warm\.$/))
  expect(input.value).toBe('')
  expect(button('Stop')).toBeUndefined()

  await say('And tomorrow?')
  await eventually(() => expect(button('Stop')).toBeDefined())
  await act(async () => button('Stop')?.click())
  await eventually(() => expect(button('Stop')).toBeUndefined())

  await say('And then?')
  await eventually(() => expect(host.querySelector('[role=alert]')?.textContent).toMatch(/429/))
})
