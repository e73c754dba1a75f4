// A first chat without a framework, and a unit test of an app's agent, as users write them.
import { connect } from 'turnloop'
import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import type { Runtime } from './app.ts'
import { assistant } from './app.ts'

const runtime = connect<Runtime>(() => new Worker(new URL('./agent.worker.ts', import.meta.url), { type: 'module' }))
const session = runtime.session('trip')
declare const list: HTMLUListElement
declare const form: HTMLFormElement

session.view.subscribe(() => {
  const { messages, status } = session.view.getSnapshot()
  list.replaceChildren(
    ...messages.map((message) => {
      const item = document.createElement('li')
      item.textContent = `${message.role}: ${message.parts.map((part) => (part.type === 'text' ? part.text : '')).join('')}`
      return item
    }),
  )
  form.ariaBusy = String(status === 'streaming')
})
form.addEventListener('submit', (event) => {
  event.preventDefault()
  session.send(String(new FormData(form).get('message')))
})

export async function testOfAnApp() {
  const model = scriptedModel([reply.call('forecast', { city: 'Porto' }), reply.text('Sunny.')], { pace: 1 })
  await using tested = createRuntime(assistant, { model, store: memoryStore() })
  using run = tested.session().send('Weather?')
  run.on('tool-execution-started', (event) => {
    if (!event.dynamic && event.toolName === 'forecast') event.input.city.trim()
  })
  const { text } = await run.result
  return [text, model.calls[1]?.prompt.at(-1)] as const
}
