import type { WireError } from '../errors.ts'
import type { Usage } from '../sessions/records.ts'
import type { RunTree } from './types.ts'

/** What a run has used itself, without those below it. */
export interface OwnSpend {
  readonly usage: Usage
  readonly cost?: number
  /** A call had no price: the cost is not known. */
  readonly unpriced?: true
}

/** A run of a tree as it is told: what is summed up from below is left to whoever shows it. */
export interface TreeNode extends Omit<RunTree, 'usage' | 'cost' | 'error' | 'children'> {
  readonly own: OwnSpend
  readonly error?: WireError
  /** The last durable event of its session that this tells of. */
  readonly seq: number
  readonly children: readonly TreeNode[]
}
