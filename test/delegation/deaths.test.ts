import type { LanguageModelV4CallOptions } from '@ai-sdk/provider'
import {
  type AgentRuntime,
  createRuntime,
  defineAgent,
  jsonSchema,
  memoryStore,
  type Store,
  tool,
} from 'turnloop/runtime'
import { type Reply, reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import { problemsOf } from '../runtime/check-prompt.ts'
import { expectOrder, record } from '../runtime/record.ts'
import { hooked, type MortalStore, mortal } from '../runtime/stores.ts'
import { toldResults, usage } from './family.ts'

/** A model that answers by what it is asked alone, as one does that knows nothing of deaths. */
const answering = (answer: (call: LanguageModelV4CallOptions) => Reply) =>
  scriptedModel(
    Array.from({ length: 200 }, () => answer),
    { usage },
  )

const resultsIn = ({ prompt }: LanguageModelV4CallOptions) => prompt.filter(({ role }) => role === 'tool').length

interface Options {
  readonly background?: boolean
  /** The child stops since its tool fails, and is had go on with a further prompt. */
  readonly goesOn?: boolean
  readonly child?: Partial<AgentDefinition>
}

function world({ background = false, goesOn = false, child = {} }: Options = {}) {
  const helperModel = answering((call) => {
    if (resultsIn(call) === 0) return reply.call('look', {}, { toolCallId: 'look-1' })
    return reply.text('All is well.')
  })
  const leadModel = answering((call) => {
    const results = resultsIn(call)
    if (results === 0)
      return reply.call('agent_run', { agent: 'helper', prompt: 'Go', background }, { toolCallId: 'run-1' })
    const [last] = toldResults(call)
    if (goesOn && typeof last === 'object' && last.status === 'stopped')
      return reply.call('agent_run', { run_id: last.run_id, prompt: 'Hurry.' }, { toolCallId: 'run-2' })
    return reply.text('Done.')
  })
  const look = () => {
    if (goesOn) throw new Error('It is dark.')
    return 'seen'
  }
  const tools = {
    look: tool({ inputSchema: jsonSchema<object>({ type: 'object' }), idempotent: true, execute: look }),
  }
  const helper = defineAgent({
    name: 'helper',
    model: helperModel,
    tools,
    ...(goesOn && { maxConsecutiveToolErrors: 1 }),
    ...child,
  } as never) as AgentDefinition
  const lead = defineAgent({ name: 'lead', model: leadModel, delegates: [helper as never] })
  const open = (store: Store) => {
    const runtime = createRuntime(lead, { store }) as unknown as AgentRuntime
    // One whose store is dead never comes to an end.
    onTestFinished(() => void runtime.close())
    return runtime
  }
  return { open, leadModel, helperModel }
}

/** Dies at its n-th use, before it or right after it, and says so. */
function dyingAt(store: Store, n: number, after: boolean) {
  const { promise: dead, resolve } = Promise.withResolvers<void>()
  let uses = 0
  const own: MortalStore = mortal(
    hooked(store, async (_, __, call) => {
      if (++uses !== n) return call()
      const result = after ? await call() : undefined
      own.die()
      resolve()
      return after ? result : new Promise(() => {})
    }),
  )
  return { store: own, dead, uses: () => uses }
}

async function expectWhole(store: Store, runId: string, runtime: AgentRuntime) {
  const children = await store.readChildren(runId)
  expect(children).toHaveLength(1)
  expect(await store.listSessions({ limit: 10, parent: 's' })).toHaveLength(1)
  expect(await store.readActiveRuns()).toEqual([])
  for (const sessionId of ['s', children[0]?.sessionId ?? '']) {
    expect(await store.readInbox(sessionId)).toEqual([])
    const told = record(runtime.session(sessionId), { since: 0 })
    await told.when('run-completed')
    expectOrder(told.events)
    expect(new Set(told.of('approval-requested'))).toEqual(new Set())
  }
}

/** Lives through all of it with a death at every use of the store. */
async function throughDeaths(options: Options, statuses: readonly string[]) {
  const calm = world(options)
  const uses = dyingAt(memoryStore(), 0, false)
  await calm.open(uses.store).session('s').send('Ask').result
  const lives = Array.from({ length: uses.uses() }, (_, n) =>
    [false, true].map((after) => ({ n: n + 1, after })),
  ).flat()
  expect(lives.length).toBeGreaterThan(40)
  await Promise.all(
    lives.map(async ({ n, after }) => {
      const store = memoryStore()
      const { open, leadModel, helperModel } = world(options)
      const dying = dyingAt(store, n, after)
      const run = open(dying.store).session('s').send('Ask', { clientRequestId: 'ask' })
      run.result.catch(() => {})
      await Promise.race([dying.dead, run.result])
      // Whoever is not sure that it was heard says it again.
      const runtime = open(mortal(store))
      const { text } = await runtime.session('s').send('Ask', { clientRequestId: 'ask' }).result
      expect(text).toBe('Done.')
      await expectWhole(store, run.runId, runtime)
      const last = leadModel.calls.at(-1)
      for (const call of [...leadModel.calls, ...helperModel.calls]) expect(problemsOf(call.prompt)).toEqual([])
      const told = last?.prompt.flatMap((message) => (message.role === 'tool' ? message.content : [])) ?? []
      expect(
        told.map(
          (part) =>
            part.type === 'tool-result' && 'value' in part.output && (part.output.value as { status: string }).status,
        ),
        `${n} ${after}`,
      ).toEqual(statuses)
    }),
  )
}

describe('whenever its worker dies,', () => {
  it(
    'a run that waits for another one starts no second one, and has its answer once',
    () => throughDeaths({}, ['completed']),
    60_000,
  )

  it(
    'a run in the background is started once, and waited for',
    () => throughDeaths({ background: true }, [expect.stringMatching(/running|completed/)] as never),
    60_000,
  )

  it(
    'one that stopped goes on once, with what it was told',
    () => throughDeaths({ goesOn: true }, ['stopped', 'completed']),
    60_000,
  )
})
