import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { assistant } from '../../docs/examples/weather/src/agent.worker.ts'
import { tidyUp } from '../../docs/examples/weather/src/sessions.ts'
import { forgotten, kept } from '../../docs/examples/weather/src/stores.ts'
import { showOlder, showSessions } from '../../docs/examples/weather/src/views.ts'
import { waitFor } from '../wait-for.ts'

function talkative(turns = 40) {
  const model = scriptedModel(Array.from({ length: turns }, () => reply.text('Yes.')))
  let time = Date.now()
  const agent = createRuntime(assistant, { model, store: memoryStore(), now: () => time++ })
  onTestFinished(() => agent.close())
  return agent
}

describe('the examples of views', () => {
  it('show the titles, newest first, and follow what happens', async () => {
    const agent = talkative()
    const nav = document.createElement('nav')
    const leave = showSessions(agent, nav)
    onTestFinished(leave)
    await agent.session().send('First').result
    await agent.session().send('Second').result
    await waitFor(() => expect([...nav.children].map((item) => item.textContent)).toEqual(['Second', 'First']))
  })

  it('begin with fifty messages, and load older ones', async () => {
    const agent = talkative()
    const session = agent.session('long')
    for (let i = 0; i < 30; i++) await session.send(`Message ${i}`).result
    expect(await showOlder(agent, 'long')).toEqual({ before: 50, after: 60 })
  })
})

describe('the examples of sessions', () => {
  it('list, rename and delete', async () => {
    const agent = talkative()
    for (let i = 0; i < 22; i++) await agent.session(`s${i}`).send(`Message ${i}`).result
    const { newest, older } = await tidyUp(agent)
    expect(newest.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, i) => `s${21 - i}`))
    expect(older.map(({ id }) => id)).toEqual(['s1', 's0'])
    expect((await agent.sessions.list({ limit: 50 })).map(({ id }) => id)).not.toContain('s21')
  })

  it('open nothing before they are used', async () => {
    expect((await indexedDB.databases()).map(({ name }) => name)).not.toContain('my-app')
    expect(await kept.sessions.list()).toEqual([])
    expect((await indexedDB.databases()).map(({ name }) => name)).toContain('my-app')
    expect(await forgotten.sessions.list()).toEqual([])
    await Promise.all([kept.close(), forgotten.close()])
  })
})
