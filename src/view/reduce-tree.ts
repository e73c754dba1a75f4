import type { App } from '../api/app.ts'
import type { OwnSpend, TreeNode } from '../api/run-tree.ts'
import type { RunTree } from '../api/types.ts'
import { fromWire, toWire } from '../errors.ts'
import { type AnyEvent, type EventKind, type EventOf, isDurable } from '../events/kinds.ts'
import { addUsage, isUsed, noUsage } from '../sessions/records.ts'

type Fields = { readonly [K in keyof TreeNode]?: TreeNode[K] | undefined }

/** What an event changes of the run that it is of; `undefined` where it doesn't say all of it. */
const changes: { readonly [K in EventKind]?: (node: TreeNode, event: EventOf<App, K>) => Fields | undefined } = {
  'run-started': (node, { at, agent }) => ({
    ...working({ phase: 'model' }),
    agent,
    startedAt: node.startedAt ?? at,
    endedAt: undefined,
    reason: undefined,
    error: undefined,
  }),
  'run-waiting': (node, { waitingFor }) =>
    // One that somebody is asked about stays interrupted.
    node.status === 'interrupted' ? {} : { status: 'waiting', phase: 'waiting', waitingFor },
  'run-completed': (_, event) => ended('completed', event),
  'run-stopped': (_, event) => ({
    ...ended('stopped', event),
    reason: event.reason,
    ...(event.error && { error: toWire(event.error) }),
  }),
  'run-failed': (_, event) => ({ ...ended('failed', event), error: toWire(event.error) }),
  'run-cancelled': (_, event) => ({ ...ended('cancelled', event), reason: event.reason }),
  'run-released': () => interrupted,
  'approval-requested': (_, { approval }) => (approval.reason === 'interrupted' ? interrupted : {}),
  'input-withdrawn': (node, { inputId, at }) =>
    inputId === node.runId && node.status === 'queued' ? ended('cancelled', { at }) : {},
  'usage-recorded': (node, { below, usage, cost }) => (below ? {} : { own: plus(node.own, usage, cost) }),
  'turn-started': () => working({ phase: 'model' }),
  'model-started': () => working({ phase: 'model' }),
  'model-retried': () => working({ phase: 'retrying' }),
  'tool-execution-started': () => working({ phase: 'tools' }),
  'delegation-started': (node, event) => {
    const isKnown = node.children.some(({ runId }) => runId === event.childRunId)
    // What an earlier run has started, and all that it did so far.
    return event.resumed && !isKnown ? undefined : { children: withChild(node.children, event) }
  },
  'delegation-finished': (node, { childRunId, outcome, at }) => ({
    children: node.children.map((child) => {
      // One that begins tells of its end itself.
      if (child.runId !== childRunId || hasEnded(child)) return child
      if (child.status === 'queued') return clean({ ...child, status: outcome, phase: undefined })
      return outcome === 'cancelled' ? clean({ ...child, ...ended(outcome, { at }) }) : child
    }),
  }),
}

export const treeKinds = Object.keys(changes) as EventKind[]

const working = ({ phase }: Pick<TreeNode, 'phase'>): Fields => ({ status: 'running', phase, waitingFor: undefined })
const interrupted: Fields = { status: 'interrupted', phase: 'interrupted', waitingFor: undefined }
const ended = (status: TreeNode['status'], { at }: { readonly at: number }): Fields => ({
  status,
  phase: undefined,
  waitingFor: undefined,
  endedAt: at,
})

const endings: ReadonlySet<TreeNode['status']> = new Set(['completed', 'stopped', 'failed', 'cancelled'])
const hasEnded = ({ status }: TreeNode) => endings.has(status)

function plus(own: OwnSpend, usage: OwnSpend['usage'], cost: number | undefined): OwnSpend {
  const sum = cost === undefined ? own.cost : (own.cost ?? 0) + cost
  return {
    usage: addUsage(own.usage, usage),
    ...(sum !== undefined && { cost: sum }),
    ...((own.unpriced || (cost === undefined && isUsed(usage))) && { unpriced: true }),
  }
}

function withChild(children: readonly TreeNode[], event: EventOf<App, 'delegation-started'>): readonly TreeNode[] {
  const { childRunId, childSessionId, childAgent, background } = event
  const known = children.find(({ runId }) => runId === childRunId)
  const queued: Fields = { status: 'queued', phase: 'queued', background: background || undefined }
  if (known) {
    // Told late: it goes on already.
    if (!event.resumed || !hasEnded(known)) return children
    return children.map((child) => (child === known ? clean({ ...child, ...queued }) : child))
  }
  const child = { runId: childRunId, sessionId: childSessionId, agent: childAgent, own: { usage: noUsage }, seq: 0 }
  return [...children, clean({ ...child, ...queued, children: [] })]
}

/** An optional field that isn't there has no key. */
const clean = (fields: Fields): TreeNode =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as unknown as TreeNode

/** The tree after some events, in order; `undefined` where one tells of a run of it that it doesn't know. Pure. */
export function reduceTree(root: TreeNode, events: readonly AnyEvent[]): TreeNode | undefined {
  let tree: TreeNode | undefined = root
  for (const event of events) tree = tree && reduceOne(tree, event)
  return tree
}

function reduceOne(root: TreeNode, event: AnyEvent): TreeNode | undefined {
  if (event.runId === root.runId) return applied(root, event)
  const { ancestors = [] } = event
  const at = ancestors.findIndex(({ runId }) => runId === root.runId)
  // Of another run: the input of one that waits.
  if (at < 0) return root
  return below(root, [...ancestors.slice(at + 1).map(({ runId }) => runId), event.runId], event)
}

function below(node: TreeNode, [next, ...rest]: readonly string[], event: AnyEvent): TreeNode | undefined {
  const at = node.children.findIndex(({ runId }) => runId === next)
  const child = node.children[at]
  if (!child) return undefined
  const changed = rest.length === 0 ? applied(child, event) : below(child, rest, event)
  if (!changed || changed === child) return changed && node
  return { ...node, children: node.children.with(at, changed) }
}

/** Events that the node tells of already are left out. */
function applied(node: TreeNode, event: AnyEvent): TreeNode | undefined {
  const durable = isDurable(event.kind)
  if (durable ? event.seq <= node.seq : event.seq < node.seq) return node
  // Nobody told of its beginning.
  if (node.status === 'queued' && event.kind !== 'run-started' && event.kind !== 'input-withdrawn') return undefined
  const change = changes[event.kind] as ((node: TreeNode, event: AnyEvent) => Fields | undefined) | undefined
  // What is still told of a turn that was cut comes too late.
  const isLate = !durable && hasEnded(node)
  const changed = isLate || !change ? {} : change(node, event)
  if (!changed) return undefined
  const fields: Fields = { ...changed, ...(durable && { seq: event.seq }) }
  const isSame = Object.entries(fields).every(([key, value]) => Object.is(node[key as keyof TreeNode], value))
  return isSame ? node : clean({ ...node, ...fields })
}

/** The tree after its runtime was lost: nobody advances what it advanced. */
export function loseTree(node: TreeNode): TreeNode {
  const children = node.children.map(loseTree)
  const isLost = node.status === 'running'
  if (!isLost && children.every((child, at) => child === node.children[at])) return node
  return clean({ ...node, ...(isLost && interrupted), children })
}

/** The tree as it is shown, each run with what all below it have used. The same node gives the same. */
export function shownTree(shown: WeakMap<TreeNode, RunTree>, node: TreeNode): RunTree {
  const known = shown.get(node)
  if (known) return known
  const { own, seq: _, error, children: nodes, ...fields } = node
  const children = nodes.map((child) => shownTree(shown, child))
  const { usage, cost } = totalOf(node)
  const tree: RunTree = {
    ...fields,
    usage,
    ...(cost !== undefined && { cost }),
    ...(error && { error: fromWire(error) }),
    children,
  }
  shown.set(node, tree)
  return tree
}

function totalOf({ own, children }: TreeNode): { readonly usage: OwnSpend['usage']; readonly cost?: number } {
  let all = own
  for (const child of children.map(spendOf)) all = merged(all, child)
  return { usage: all.usage, ...(all.cost !== undefined && !all.unpriced && { cost: all.cost }) }
}

const spendOf = ({ own, children }: TreeNode): OwnSpend => children.map(spendOf).reduce(merged, own)

function merged(a: OwnSpend, b: OwnSpend): OwnSpend {
  const cost = a.cost === undefined && b.cost === undefined ? undefined : (a.cost ?? 0) + (b.cost ?? 0)
  return {
    usage: addUsage(a.usage, b.usage),
    ...(cost !== undefined && { cost }),
    ...((a.unpriced || b.unpriced) && { unpriced: true }),
  }
}
