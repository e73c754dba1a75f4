import { AgentError, type RunHandle } from 'turnloop'
import type { runtime } from './agent.worker.ts'

type Agent = typeof runtime

export async function follow(agent: Agent, print: (text: string) => void) {
  const session = agent.session()
  // #region run
  const run = session.send('How warm is it in Porto?')
  run.on('text-delta', ({ delta }) => print(delta))
  run.on('tool-execution-finished', (call) => {
    if (!call.dynamic && call.outcome === 'success') print(`${call.input.city}: ${call.output.celsius} °C\n`)
  })
  const { text, turns, usage } = await run.result
  // #endregion
  return { text, turns, usage }
}

export async function end(run: RunHandle) {
  // #region end
  await run.stop() // ends the run as stopped; what was written so far is kept
  await run.stop({ after: 'turn' }) // lets the turn and the tools that it started finish first
  run.abort() // cancels it: the model's request and every tool's signal abort at once
  run.detach() // from now on, disposing this handle leaves the run alone
  // #endregion
}

export async function settle(agent: Agent, show: (...what: string[]) => void) {
  const session = agent.session()
  // #region errors
  try {
    const { status, reason, text } = await session.send('How warm is it in Porto?').result
    show(status, reason ?? text) // 'completed', or 'stopped': 'requested', 'max-turns', 'credentials' …
  } catch (error) {
    if (!(error instanceof AgentError)) throw error // an AbortError: the run was cancelled
    show(error.code, error.message) // 'rate-limited', 'model-timeout', 'storage-full' …
  }
  // #endregion
}

export async function withKey(agent: Agent, askForKey: () => Promise<unknown>) {
  const session = agent.session()
  // #region resume
  const run = session.send('How warm is it in Porto?')
  const { reason } = await run.result
  if (reason === 'credentials') {
    agent.setCredentials(await askForKey())
    await agent.runs.resume(run.runId).result // goes on where it stopped, as the same run
  }
  // #endregion
  return run.runId
}

export async function steer(run: RunHandle) {
  // #region steer
  await run.steer('In Fahrenheit, please') // stored, and heard by the run at its next turn
  // #endregion
}

export async function askOnce(agent: Agent, question: string) {
  // #region using
  await using run = agent.session().send(question)
  const { text } = await run.result
  // #endregion
  return text
}

export function archive(agent: Agent) {
  const session = agent.session('trip')
  // #region since
  const archived = Number(localStorage.getItem('archived') ?? 0)
  const listener = session.on(
    ['user-message-committed', 'tool-message-committed', 'assistant-message-committed'],
    async ({ seq, message }, _context, control) => {
      const request = { method: 'PUT', body: JSON.stringify(message), signal: control.signal }
      const answer = await fetch('/api/archive', request).catch(() => undefined)
      if (answer?.ok) localStorage.setItem('archived', String(seq))
      else control.cancel() // the next visit goes on from the mark
    },
    { since: archived, concurrency: 1, timeout: 10_000 },
  )
  // #endregion
  return listener
}
