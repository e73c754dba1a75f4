import type { runtime } from './agent.worker.ts'

export async function tidyUp(agent: typeof runtime) {
  // #region sessions
  const newest = await agent.sessions.list({ limit: 20 })
  const older = await agent.sessions.list({ limit: 20, before: newest.at(-1)?.id })
  const session = agent.session(newest[0]?.id)
  await session.rename('Porto in May')
  await session.delete() // everything of it
  // #endregion
  return { newest, older }
}
