import type { AgentDefinition } from '../agent/define-agent.ts'

/** How an agent starts other agents. */
export interface DelegationOptions {
  /** Runs above a delegated one, at most: 1 lets its agents start none themselves. The least of all agents above counts. 3 by default. */
  readonly maxDepth?: number
  /** Runs of one parent that are under way at once; further ones wait for their turn. 4 by default. */
  readonly maxConcurrent?: number
  /** Runs that one run starts. 100 by default. */
  readonly maxChildren?: number
  /**
   * What becomes of runs in the background when the one that started them has answered. `wait`: it goes on once they have ended,
   * and its model is told so. `stop`: they are stopped. `detach`: they go on by themselves. `wait` by default.
   */
  readonly onEnd?: 'wait' | 'stop' | 'detach'
  /** An agent may start itself, and those above it. Never by default: `maxDepth` ends it all the same. */
  readonly allowCircles?: boolean
  /** The names of its three tools. */
  readonly toolNames?: { readonly run?: string; readonly stop?: string; readonly output?: string }
}

export type DelegationSettings = Required<Omit<DelegationOptions, 'toolNames'>> & {
  readonly toolNames: Required<NonNullable<DelegationOptions['toolNames']>>
}

const defaults = { maxDepth: 3, maxConcurrent: 4, maxChildren: 100, onEnd: 'wait', allowCircles: false } as const
/** By which types know them. */
export const defaultNames = { run: 'agent_run', stop: 'agent_stop', output: 'agent_output' } as const

export const delegationOf = ({ delegation = {} }: Pick<AgentDefinition, 'delegation'>): DelegationSettings => ({
  ...defaults,
  ...delegation,
  toolNames: { ...defaultNames, ...delegation.toolNames },
})

/** The names of the agents that an agent may start. */
export const delegateNames = ({ delegates = [] }: Pick<AgentDefinition, 'delegates'>): readonly string[] =>
  delegates.map((delegate) => (typeof delegate === 'string' ? delegate : delegate?.name))
