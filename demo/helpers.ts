import type { AgentRuntime, RunTree, SessionSnapshot } from 'turnloop'
import { arrange, byId } from './dom.ts'
import { HelperBranch } from './helper-branch.ts'

/** Between conversation and composer: what the agent has given to helpers, as a tree. Each branch opens, stops and goes on. */
export class Helpers {
  readonly #agent: AgentRuntime
  readonly #place = byId<HTMLDetailsElement>('helpers')
  readonly #list = byId('helper-tree')
  readonly #branches = new Map<string, HelperBranch>()
  #runId: string | undefined
  #leave = () => {}

  constructor(agent: AgentRuntime) {
    this.#agent = agent
  }

  /** The tree of the latest run that has helpers, for as long as it is the session's last but none. */
  render({ messages, run }: SessionSnapshot): void {
    const last = run?.runId ?? messages.at(-1)?.metadata.runId
    const delegates = messages.some(
      ({ metadata, parts }) => metadata.runId === last && parts.some(({ type }) => type === 'tool-agent_run'),
    )
    this.#follow(delegates ? last : undefined)
  }

  /** For another session; `render` fills it. */
  open(): void {
    this.#follow(undefined)
  }

  #follow(runId: string | undefined): void {
    if (runId === this.#runId) return
    this.#leave()
    for (const branch of this.#branches.values()) branch.close()
    this.#branches.clear()
    this.#list.replaceChildren()
    this.#runId = runId
    this.#place.hidden = true
    this.#leave = () => {}
    if (runId === undefined) return
    const tree = this.#agent.runs.tree(runId)
    this.#leave = tree.subscribe(() => this.#draw(tree.getSnapshot()))
    this.#draw(tree.getSnapshot())
  }

  #draw(top: RunTree | undefined): void {
    const all = top ? below(top) : []
    this.#place.hidden = all.length === 0
    const atWork = all.filter(({ status }) => status === 'running' || status === 'waiting').length
    byId('helpers-summary').textContent =
      `${all.length} ${all.length === 1 ? 'helper' : 'helpers'}${atWork > 0 ? `, ${atWork} at work` : ''}`
    if (top)
      arrange(
        this.#list,
        top.children.map((node) => this.#branch(node)),
      )
  }

  #branch(node: RunTree): HTMLElement {
    let branch = this.#branches.get(node.runId)
    if (!branch) {
      branch = new HelperBranch(this.#agent, node)
      this.#branches.set(node.runId, branch)
    }
    branch.render(
      node,
      node.children.map((child) => this.#branch(child)),
    )
    return branch.element
  }
}

const below = ({ children }: RunTree): readonly RunTree[] => children.flatMap((child) => [child, ...below(child)])
