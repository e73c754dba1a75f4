import type { AgentRuntime, AppOf, RunHandle, RunTree } from 'turnloop'
import type { runtime } from './agent.ts'

type App = AppOf<typeof runtime>

// #region tree
/** Shows a run with all that it has started, and follows it. Returns its undo. */
export function showTree({ runs }: Pick<AgentRuntime<App>, 'runs'>, runId: string, list: HTMLUListElement): () => void {
  const tree = runs.tree(runId)
  const itemOf = ({ runId: id, agent, status, usage, children }: RunTree<App>): HTMLLIElement => {
    const item = document.createElement('li')
    item.append(`${agent}: ${status}, ${usage.inputTokens + usage.outputTokens} tokens `)
    const stop = Object.assign(document.createElement('button'), { textContent: `Stop ${agent}` })
    stop.onclick = () => void runs.get(id).stop()
    if (status === 'running' || status === 'waiting') item.append(stop)
    const below = document.createElement('ul')
    below.append(...children.map(itemOf))
    item.append(below)
    return item
  }
  return tree.subscribe(() => {
    const top = tree.getSnapshot()
    list.replaceChildren(...(top ? [itemOf(top)] : []))
  })
}
// #endregion

// #region descendants
/** Says what all agents of a run do, each with the agents above it. */
export function logAll({ on }: Pick<RunHandle<App>, 'on'>, log: (line: string) => void): void {
  on(
    ['tool-execution-started', 'run-completed'],
    (event) => log(`${[...(event.ancestors ?? []), event].map(({ agent }) => agent).join(' → ')}: ${event.kind}`),
    { descendants: true },
  )
}
// #endregion

// #region from-code
/** Has a run start a further one: its limits hold, and the run above waits for it. */
export const alsoAsk = ({ run }: Pick<AgentRuntime<App>, 'run'>, parent: string, topic: string): RunHandle<App> =>
  run({ agent: 'researcher', input: `What is known about ${topic}?`, parent })
// #endregion
