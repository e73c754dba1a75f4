import type { AnyEvent } from 'turnloop'
import { describe, expect, test } from 'vitest'
import { asCost } from '../../demo/format.ts'
import { RunLog } from '../../demo/run-log.ts'

const usage = (inputTokens: number) => ({ inputTokens, outputTokens: 1, cachedInputTokens: 0, reasoningTokens: 0 })

/** The runs that these events tell of. */
function runsOf(...events: readonly object[]) {
  const log = new RunLog()
  for (const event of events) log.add({ sessionId: 's', agent: 'a', runId: 'r', turn: 0, ...event } as AnyEvent)
  return log.runs
}

const start = { kind: 'run-started', input: 'Hello', at: 0 }
const first = { ...start, turn: 4 }

describe('what the tab Run knows of a run', () => {
  test('is what its events say it has used', () => {
    const [run] = runsOf(
      first,
      { kind: 'turn-started', at: 10, turn: 5 },
      { kind: 'tool-execution-started', at: 20, turn: 5 },
      { kind: 'tool-execution-started', at: 20, turn: 5 },
      { kind: 'usage-recorded', at: 30, turn: 5, run: usage(7), runCost: 0.5 },
      { kind: 'turn-completed', at: 30, turn: 5 },
      { kind: 'turn-started', at: 40, turn: 6 },
    )
    expect(run).toMatchObject({ input: 'Hello', state: 'working', turns: 2, toolCalls: 2, usage: usage(7), cost: 0.5 })
  })

  test('does not count a turn twice that is replayed without its beginning', () => {
    const [run] = runsOf(first, { kind: 'turn-completed', at: 1, turn: 5 }, { kind: 'turn-started', at: 2, turn: 6 })
    expect(run?.turns).toBe(2)
  })

  test('counts the time that it worked, and not what it waited or lay dead', () => {
    const [run] = runsOf(
      first,
      { kind: 'usage-recorded', at: 100, run: usage(1) },
      { kind: 'run-waiting', at: 150, waitingFor: 'approval' },
      { kind: 'approval-resolved', at: 5000 },
      { kind: 'tool-execution-started', at: 5010 },
      { ...start, resumed: true, at: 9000 },
      { kind: 'run-completed', at: 9040, usage: usage(1), turns: 1 },
    )
    expect(run).toMatchObject({ state: 'completed', workedFor: 200 })
  })

  test('says why it stopped, until it goes on', () => {
    const stopped = { kind: 'run-stopped', reason: 'max-turns', at: 10, usage: usage(1), turns: 3 }
    expect(runsOf(first, stopped)[0]).toMatchObject({ state: 'stopped', reason: 'max-turns', turns: 3 })
    const [again] = runsOf(first, stopped, { ...start, resumed: true, at: 20 })
    expect(again).toMatchObject({ state: 'working', turns: 3 })
    expect(again).not.toHaveProperty('reason')
  })

  test('is told for each of the runs of a session, in their order', () => {
    const runs = runsOf(
      { ...first, runId: 'one' },
      { kind: 'run-failed', runId: 'one', at: 5, usage: usage(1), turns: 1 },
      { ...start, runId: 'two', at: 6 },
    )
    expect(runs.map(({ runId, state }) => [runId, state])).toEqual([
      ['one', 'failed'],
      ['two', 'working'],
    ])
  })
})

describe('a cost', () => {
  test.each([
    [undefined, 'unknown'],
    [0, '$0.00'],
    [0.000002, '$0.0000020'],
    [0.00227, '$0.0023'],
    [0.0104, '$0.0104'],
    [12.5, '$12.50'],
  ])('of %s is shown as %s', (cost, text) => expect(asCost(cost)).toBe(text))
})
