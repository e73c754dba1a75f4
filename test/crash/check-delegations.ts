import { type Finding, lost, problem, repeated } from './findings.ts'
import { delegated, type Order, textOf, turnsOf } from './plans.ts'
import type { HeardEvent } from './world/ledger.ts'

interface Result {
  readonly run_id: string
  readonly status: string
  readonly text: string
}

/** Each call starts one run, whose end is heard, and whose answer is the call's result. */
export function* checkDelegations(order: Order, events: readonly HeardEvent[]): Generator<Finding> {
  const started = events.filter(({ kind, resumed }) => kind === 'delegation-started' && !resumed)
  const finished = events.filter(({ kind }) => kind === 'delegation-finished')
  const runs = new Set(started.map(({ childRunId }) => childRunId))
  if (runs.size < started.length) yield repeated(`a run was started ${started.length} times for ${runs.size} calls`)
  const end = events.at(-1)?.kind
  for (const runId of runs)
    if (!finished.some(({ childRunId }) => childRunId === runId))
      yield { fault: 'stuck' as const, message: `the end of ${runId} was never heard` }
  if (end !== 'run-completed') return
  const calls = turnsOf(order.plan).flatMap((tools, turn) =>
    tools.flatMap((tool, index) => (tool === 'agent_run' ? [delegated(order, turn, index).child] : [])),
  )
  const isCut = events.some(({ kind }) => kind === 'run-stopped')
  if (runs.size !== calls.length && !isCut)
    yield problem(`${runs.size} runs were started, the plan has ${calls.length}`)
  const results = events.flatMap(({ kind, toolName, output }) =>
    kind === 'tool-execution-finished' && toolName === 'agent_run' && output ? [output as Result] : [],
  )
  const answers = new Set(calls.map((child) => textOf(child, turnsOf(child.plan).length)))
  for (const { run_id, status, text } of results) {
    if (!runs.has(run_id)) yield problem(`a call has the result of ${run_id}, which was not started for it`)
    if (status === 'completed' && !answers.has(text))
      yield lost(`${run_id} completed, and its answer is ${JSON.stringify(text)}`)
  }
  const outcomes = new Map(finished.map(({ childRunId, outcome }) => [childRunId, outcome]))
  // A stop that comes before it has begun takes it back.
  for (const [runId, outcome] of outcomes)
    if (outcome !== 'completed' && outcome !== 'stopped' && !(outcome === 'cancelled' && isCut))
      yield lost(`${runId} has ended as ${outcome}`)
    else if (outcome === 'stopped' && !isCut && !results.some(({ run_id }) => run_id === runId))
      yield lost(`${runId} was stopped by nobody`)
}
