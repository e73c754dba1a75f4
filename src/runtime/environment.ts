import type { AgentDefinition, Model } from '../agent/define-agent.ts'
import type { Bus } from '../events/bus.ts'
import type { Models } from '../model/resolve-model.ts'
import type { Store } from '../sessions/store.ts'
import type { Pages } from '../tools/pages.ts'

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
  readonly newId: () => string
  /** Unix time in milliseconds. */
  readonly now: () => number
  readonly credentials: () => unknown
}
