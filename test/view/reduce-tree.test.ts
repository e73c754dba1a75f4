import { describe, expect, it } from 'vitest'
import type { TreeNode } from '../../src/api/run-tree.ts'
import type { RunTree } from '../../src/api/types.ts'
import type { AnyEvent } from '../../src/events/kinds.ts'
import { noUsage } from '../../src/sessions/records.ts'
import { loseTree, reduceTree, shownTree, treeKinds } from '../../src/view/reduce-tree.ts'

const node = (runId: string, more: Partial<TreeNode> = {}): TreeNode => ({
  runId,
  sessionId: runId,
  agent: runId,
  status: 'running',
  phase: 'model',
  own: { usage: noUsage },
  seq: 1,
  children: [],
  ...more,
})
const family = () => node('lead', { children: [node('one'), node('two', { children: [node('leaf')] })] })

const above = { one: ['lead'], two: ['lead'], leaf: ['lead', 'two'] } as Record<string, string[]>
const event = (kind: string, runId: string, seq: number, more: object = {}) =>
  ({
    kind,
    runId,
    seq,
    at: 7,
    sessionId: runId,
    agent: runId,
    turn: 1,
    ancestors: above[runId]?.map((id) => ({ runId: id, sessionId: id, agent: id })),
    ...more,
  }) as unknown as AnyEvent
const usage = (outputTokens: number) => ({ ...noUsage, outputTokens })

describe('a tree after an event', () => {
  it('keeps all that is neither the run that it is of nor above that', () => {
    const before = family()
    const after = reduceTree(before, [event('run-completed', 'leaf', 2)])
    expect(after?.children[0]).toBe(before.children[0])
    expect(after?.children[1]?.children[0]).toMatchObject({ status: 'completed', endedAt: 7, seq: 2 })
    expect(after?.children[1]?.children[0]).not.toHaveProperty('phase')
    const shown = new WeakMap<TreeNode, RunTree>()
    expect(shownTree(shown, before)).toBe(shownTree(shown, before))
    expect(shownTree(shown, before).children[0]).toBe(shownTree(shown, after as TreeNode).children[0])
  })

  it('is not known where a run goes on that it has not seen before', () => {
    const started = { childRunId: 'new', childSessionId: 'new', childAgent: 'helper' }
    expect(reduceTree(family(), [event('delegation-started', 'two', 2, started)])).toBeDefined()
    expect(reduceTree(family(), [event('delegation-started', 'two', 2, { ...started, resumed: true })])).toBeUndefined()
    const known = { childRunId: 'leaf', childSessionId: 'leaf', childAgent: 'leaf', resumed: true }
    expect(reduceTree(family(), [event('delegation-started', 'two', 2, known)])).toBeDefined()
  })

  it('is to be read again where nobody told of the beginning', () => {
    const queued = () => node('lead', { status: 'queued', phase: 'queued' })
    expect(reduceTree(queued(), [event('run-started', 'lead', 2), event('run-waiting', 'lead', 3)])).toBeDefined()
    expect(reduceTree(queued(), [event('run-waiting', 'lead', 3)])).toBeUndefined()
    expect(reduceTree(queued(), [event('model-started', 'lead', 2)])).toBeUndefined()
  })

  it('has neither a beginning nor a phase for one that never began', () => {
    const child = { childRunId: 'new', childSessionId: 'new', childAgent: 'helper' }
    const after = reduceTree(family(), [
      event('delegation-started', 'lead', 2, child),
      event('delegation-finished', 'lead', 3, { ...child, outcome: 'cancelled' }),
    ])
    const ended = after?.children.at(-1)
    expect(ended).toMatchObject({ runId: 'new', status: 'cancelled' })
    for (const key of ['phase', 'startedAt', 'endedAt']) expect(ended).not.toHaveProperty(key)
  })

  it('takes each durable event once, and nothing live that is older than what it knows', () => {
    const spent = event('usage-recorded', 'leaf', 2, { usage: usage(5), cost: 1 })
    const once = reduceTree(family(), [spent]) as TreeNode
    expect(reduceTree(once, [spent])).toBe(once)
    expect(reduceTree(once, [event('model-retried', 'leaf', 1)])).toBe(once)
    expect(reduceTree(once, [event('model-retried', 'leaf', 2)])).not.toBe(once)
    expect(shownTree(new WeakMap(), once)).toMatchObject({
      usage: usage(5),
      cost: 1,
      children: [{ usage: noUsage }, { usage: usage(5), cost: 1 }],
    })
  })

  it('counts what was told below once, though the runs above add it to their own', () => {
    const after = reduceTree(family(), [
      event('usage-recorded', 'leaf', 2, { usage: usage(5) }),
      event('usage-recorded', 'two', 2, { usage: usage(5), below: true }),
      event('usage-recorded', 'two', 3, { usage: usage(3) }),
      event('usage-recorded', 'lead', 2, { usage: usage(8), below: true }),
    ]) as TreeNode
    expect(shownTree(new WeakMap(), after).usage).toEqual(usage(8))
    // A call without a price leaves the cost unknown.
    expect(shownTree(new WeakMap(), after)).not.toHaveProperty('cost')
  })

  it('is to be read again where the event is of a run that it does not know', () => {
    const unknown = event('run-started', 'new', 1, { ancestors: [{ runId: 'lead', sessionId: 'lead', agent: 'lead' }] })
    expect(reduceTree(family(), [unknown])).toBeUndefined()
    expect(reduceTree(family(), [event('run-started', 'stranger', 1)])).toMatchObject({ runId: 'lead' })
  })

  it('has new children at the end, once', () => {
    const started = event('delegation-started', 'lead', 2, {
      childRunId: 'new',
      childSessionId: 'new',
      childAgent: 'new',
    })
    const after = reduceTree(family(), [started, started])
    expect(after?.children.map(({ runId }) => runId)).toEqual(['one', 'two', 'new'])
    expect(after?.children[2]).toMatchObject({ status: 'queued', phase: 'queued', seq: 0 })
  })

  it('is interrupted where its runtime is lost, but for what had ended or waits', () => {
    const tree = node('lead', {
      status: 'waiting',
      phase: 'waiting',
      children: [node('one'), node('two', { status: 'completed' })],
    })
    const lost = loseTree(tree)
    expect(lost).toMatchObject({ status: 'waiting', children: [{ status: 'interrupted' }, { status: 'completed' }] })
    expect(lost.children[1]).toBe(tree.children[1])
    expect(loseTree(lost)).toBe(lost)
  })

  it('needs no deltas and no messages', () => {
    expect(treeKinds.filter((kind) => /delta|message|part/.test(kind))).toEqual([])
  })
})
