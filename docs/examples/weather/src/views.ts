import type { runtime } from './agent.worker.ts'

export function showSessions(agent: typeof runtime, nav: HTMLElement) {
  // #region sessions
  const sessions = agent.sessions.view({ limit: 20 })
  const leave = sessions.subscribe(() => {
    const titles = sessions
      .getSnapshot()
      .map(({ title }) => Object.assign(document.createElement('li'), { textContent: title }))
    nav.replaceChildren(...titles)
  })
  // #endregion
  return leave
}

export async function showOlder(agent: typeof runtime, id: string) {
  const session = agent.session(id)
  // #region older
  const { messages, hasOlder } = await session.view.ready // the last 50 messages at most
  if (hasOlder) await session.view.loadOlder()
  // #endregion
  return { before: messages.length, after: session.view.getSnapshot().messages.length }
}
