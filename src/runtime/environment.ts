import type { AgentDefinition, Model } from '../agent/define-agent.ts'
import type { Bus } from '../events/bus.ts'
import type { Sleep } from '../events/sleep.ts'
import type { Models } from '../model/resolve-model.ts'
import type { Store } from '../sessions/store.ts'
import type { Pages } from '../tools/pages.ts'
import type { Network } from './network.ts'
import type { Run } from './run.ts'
import type { ToolSources } from './tool-sources.ts'

/** What all runs of a runtime share. */
export interface Environment {
  readonly agents: ReadonlyMap<string, AgentDefinition>
  readonly models: Models
  /** Takes the place of every model. */
  readonly model: Model | undefined
  readonly store: Store
  /** Whether the runtime made the store itself, and closes it. */
  readonly ownsStore: boolean
  readonly bus: Bus
  readonly pages: Pages
  readonly network: Network
  readonly sources: ToolSources
  readonly newId: () => string
  /** Unix time in milliseconds. */
  readonly now: () => number
  /** All waiting for time goes through it. */
  readonly sleep: Sleep
  readonly credentials: () => unknown
  /** The runtime's other sessions, for runs that start runs. */
  readonly others: {
    /** Something was said to the session. */
    nudge(sessionId: string): void
    /** The run of it that is advanced here now. */
    runOf(sessionId: string): Run | undefined
    /** The runs below a run that are advanced here now. */
    below(runId: string): readonly Run[]
  }
}
