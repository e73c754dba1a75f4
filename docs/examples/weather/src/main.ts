// src/main.ts
import { connect } from 'turnloop'
import type { runtime } from './agent.worker.ts'

const agent = connect<typeof runtime>(
  () => new Worker(new URL('./agent.worker.ts', import.meta.url), { type: 'module' }),
)
const session = agent.session('trip') // stored with the first message, and found again by this id after a reload

session.view.subscribe(() => {
  const { messages } = session.view.getSnapshot()
  const lines = messages.map(({ role, parts }) => {
    const text = parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
    return Object.assign(document.createElement('li'), { textContent: `${role}: ${text}` })
  })
  document.querySelector('ul')?.replaceChildren(...lines)
})

document.querySelector('form')?.addEventListener('submit', (event) => {
  event.preventDefault()
  session.send(String(new FormData(event.currentTarget as HTMLFormElement).get('message')))
})
