import { describe, expect, it, onTestFinished } from 'vitest'
import type { TreeNode } from '../../src/api/run-tree.ts'
import type { AnyEvent } from '../../src/events/kinds.ts'
import { noUsage } from '../../src/sessions/records.ts'
import { createTreeView, type TreeSource } from '../../src/view/tree-view.ts'
import { waitFor } from '../wait-for.ts'
import { Frames } from './fixtures.ts'

const node = (runId: string, children: readonly TreeNode[] = []): TreeNode => ({
  runId,
  sessionId: runId,
  agent: 'a',
  status: 'running',
  phase: 'model',
  own: { usage: noUsage },
  seq: 0,
  children,
})
const many = Array.from({ length: 100 }, (_, at) => node(`child-${at}`))
const root = { runId: 'root', sessionId: 'root', agent: 'a' }
const event = (kind: string, runId: string, seq: number, more: object = {}) =>
  ({
    kind,
    runId,
    sessionId: runId,
    seq,
    at: 1,
    agent: 'a',
    turn: 1,
    ancestors: runId === 'root' ? undefined : [root],
    ...more,
  }) as unknown as AnyEvent

function watched(stored: () => TreeNode | undefined) {
  const frames = new Frames()
  const source = { loads: 0, kinds: [] as readonly string[], tell: (_: AnyEvent) => {}, lose: (_: boolean) => {} }
  const made: TreeSource = {
    load: async () => {
      source.loads++
      return stored()
    },
    listen: ({ kinds }, receive) => {
      source.kinds = kinds
      source.tell = receive
      return () => {}
    },
    onState: (changed) => {
      source.lose = changed
      return () => {}
    },
  }
  const view = createTreeView('root', made, { frame: frames.schedule })
  let shown = 0
  onTestFinished(view.subscribe(() => shown++))
  /** Draws frames until it is so. */
  const until = (isSo: () => void) =>
    waitFor(() => {
      frames.next()
      isSo()
    })
  return { view, source, frames, until, shown: () => shown }
}

describe('the view of a tree', () => {
  it('is read once, however much a hundred children tell, and shown once per frame', async () => {
    const { view, source, frames, until, shown } = watched(() => node('root', many))
    await until(() => expect(view.getSnapshot()).toBeDefined())
    const before = view.getSnapshot()
    for (let seq = 1; seq <= 50; seq++)
      for (const { runId } of many)
        source.tell(event('usage-recorded', runId, seq, { usage: { ...noUsage, outputTokens: 1 } }))
    expect(view.getSnapshot()).toBe(before)
    const count = shown()
    frames.next()
    expect(shown()).toBe(count + 1)
    expect(view.getSnapshot()?.usage.outputTokens).toBe(5000)
    expect(source.loads).toBe(1)
  })

  it('is read again for a run that it does not know, and is undefined until its own is there', async () => {
    let stored: TreeNode | undefined
    const { view, source, until } = watched(() => stored)
    await until(() => expect(source.loads).toBe(1))
    expect(view.getSnapshot()).toBeUndefined()
    stored = node('root')
    source.tell(event('run-started', 'root', 1))
    await until(() => expect(view.getSnapshot()).toMatchObject({ runId: 'root', children: [] }))
    stored = node('root', [node('new')])
    source.tell(event('run-started', 'new', 1))
    await until(() => expect(view.getSnapshot()?.children).toMatchObject([{ runId: 'new' }]))
    expect(source.loads).toBe(3)
  })

  it('shows nobody at work once its runtime is lost, and what it reads when that is there again', async () => {
    const { view, source, frames, until } = watched(() => node('root', [node('one')]))
    await until(() => expect(view.getSnapshot()).toBeDefined())
    source.lose(true)
    frames.next()
    expect(view.getSnapshot()).toMatchObject({ status: 'interrupted', children: [{ status: 'interrupted' }] })
    source.lose(false)
    await until(() =>
      expect(view.getSnapshot()).toMatchObject({ status: 'running', children: [{ status: 'running' }] }),
    )
    expect(source.loads).toBe(2)
  })
})
