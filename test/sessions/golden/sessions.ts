import { createRuntime, defineAgent, type Store, tool } from 'turnloop/runtime'
import { reply, type ScriptedTurn, scriptedModel } from 'turnloop/testing'
import { z } from 'zod'
import { mortal } from '../../runtime/stores.ts'

// Sessions of every kind that a database may hold, each under an id that says what it is. Tests of migrations rely on
// these ids.

const city = z.object({ city: z.string() })
export const tools = {
  forecast: tool({ title: 'Forecast', inputSchema: city, execute: ({ city }) => ({ city, celsius: 21 }) }),
  breaks: tool({
    inputSchema: z.object({}),
    execute: (): string => {
      throw new Error('No connection')
    },
  }),
  /** Never comes to an end by itself. */
  pay: tool({
    inputSchema: z.object({ amount: z.number() }),
    execute: (_, { abortSignal }) =>
      new Promise<string>((_, reject) => {
        abortSignal.addEventListener('abort', () => reject(abortSignal.reason))
      }),
  }),
  pickDate: tool({ inputSchema: z.object({}), outputSchema: z.string() }),
}

const forecast = (name: string, toolCallId: string) => reply.call('forecast', { city: name }, { toolCallId })
const used = reply.finish({ usage: { inputTokens: 12, outputTokens: 7 } })

interface Scene {
  readonly id: string
  readonly turns: readonly ScriptedTurn[]
  readonly maxTurns?: number
  play(session: Session): Promise<unknown>
  /** Said once the runtime is dead: nobody hears it. */
  readonly unheard?: { readonly runId: string; readonly said: Parameters<Store['say']>[2] }
}
type Runtime = ReturnType<typeof open>
type Session = ReturnType<Runtime['session']>

const heard = (
  session: Session,
  kind: 'text-delta' | 'tool-execution-started' | 'tool-execution-finished' | 'run-waiting',
) => new Promise<void>((resolve) => session.on(kind, () => resolve()))

const scenes: readonly Scene[] = [
  {
    id: 'completed',
    turns: [
      reply.all(reply.reasoning('Two cities'), forecast('Porto', 'porto'), forecast('Lisbon', 'lisbon'), used),
      reply.all(reply.text('Sunny in both.'), used),
      reply.all(reply.text('Let me see.'), reply.call('breaks', {}, { toolCallId: 'broken' })),
      reply.all(reply.call('forecast', { town: 'Faro' }, { toolCallId: 'invalid' }), forecast('Faro', 'faro')),
      reply.text('Sunny in Faro too.'),
      reply.text('You are welcome.'),
    ],
    async play(session) {
      await session.send('Porto or Lisbon?').result
      await session.send('And Faro?', { metadata: { from: 'form' }, settings: { temperature: 0 } }).result
      await session.send('Thanks').result
    },
  },
  {
    id: 'renamed',
    turns: [reply.text('Bom dia!')],
    async play(session) {
      await session.send('Good morning in Portuguese?').result
      await session.rename('Portuguese')
    },
  },
  {
    id: 'interrupted in the first answer',
    turns: [reply.all(reply.text('Half of'), reply.hang())],
    async play(session) {
      session.send('Tell me a story').result.catch(() => {})
      await heard(session, 'text-delta')
    },
  },
  {
    id: 'interrupted in a later answer',
    turns: [forecast('Porto', 'porto'), reply.all(reply.text('Sun'), reply.hang())],
    async play(session) {
      session.send('Weather?').result.catch(() => {})
      await heard(session, 'text-delta')
    },
  },
  {
    id: 'interrupted in a tool',
    turns: [
      reply.text('Yes?'),
      reply.all(forecast('Porto', 'porto'), reply.call('pay', { amount: 30 }, { toolCallId: 'payment' })),
    ],
    async play(session) {
      await session.send('Hello').result
      const finished = heard(session, 'tool-execution-finished')
      session.send('Book a sunny day').result.catch(() => {})
      await finished
    },
  },
  {
    id: 'interrupted with a queue',
    turns: [reply.all(reply.text('Half of'), reply.hang())],
    async play(session) {
      const queued = new Promise<void>((resolve) => {
        let count = 0
        session.on('input-queued', () => void (++count === 3 && resolve()))
      })
      for (const input of ['first', 'second', 'third']) session.send(input).result.catch(() => {})
      await Promise.all([heard(session, 'text-delta'), queued])
    },
  },
  {
    id: 'waiting',
    turns: [reply.all(forecast('Porto', 'porto'), reply.call('pickDate', {}, { toolCallId: 'date' }))],
    async play(session) {
      const waits = heard(session, 'run-waiting')
      session.send('When shall I go?').result.catch(() => {})
      await waits
    },
  },
  {
    id: 'answered while nobody was there',
    turns: [reply.call('pickDate', {}, { toolCallId: 'date' })],
    async play(session) {
      const waits = heard(session, 'run-waiting')
      session.send('When shall I go?').result.catch(() => {})
      await waits
    },
    unheard: {
      runId: 'answered while nobody was there 1',
      said: { type: 'tool-output', toolCallId: 'date', output: 'tomorrow' },
    },
  },
  {
    id: 'stopped while nobody was there',
    turns: [reply.all(reply.text('Half of'), reply.hang())],
    async play(session) {
      session.send('Tell me a story').result.catch(() => {})
      await heard(session, 'text-delta')
    },
    unheard: { runId: 'stopped while nobody was there 1', said: { type: 'stop', after: 'now' } },
  },
  {
    id: 'stopped at its turns',
    maxTurns: 1,
    turns: [forecast('Porto', 'porto')],
    play: (session) => session.send('Weather?').result,
  },
  {
    id: 'stopped with an open call',
    turns: [reply.all(reply.text('Choose.'), reply.call('pickDate', {}, { toolCallId: 'date' }))],
    async play(session) {
      const waits = heard(session, 'run-waiting')
      const run = session.send('When shall I go?')
      await waits
      await run.stop()
    },
  },
  {
    id: 'stopped in mid-answer',
    turns: [reply.all(reply.text('Half of'), reply.hang())],
    async play(session) {
      const run = session.send('Tell me a story')
      await heard(session, 'text-delta')
      await run.stop()
    },
  },
  {
    id: 'failed',
    turns: [reply.fail(400)],
    play: (session) => session.send('Hello').result.catch(() => {}),
  },
  {
    id: 'cancelled',
    turns: [reply.call('pay', { amount: 30 }, { toolCallId: 'payment' })],
    async play(session) {
      const run = session.send('Pay')
      await heard(session, 'tool-execution-started')
      run.abort()
      await run.result.catch(() => {})
    },
  },
  {
    id: 'half deleted',
    turns: [forecast('Porto', 'porto'), reply.text('Sunny')],
    play: (session) => session.send('Weather?').result,
  },
]

function open(store: Store, { id, turns, maxTurns }: Omit<Scene, 'play'>, now: () => number) {
  let ids = 0
  const agent = defineAgent({
    name: 'assistant',
    model: scriptedModel(turns),
    tools,
    ...(maxTurns === undefined ? undefined : { limits: { maxTurns } }),
  })
  return createRuntime(agent, { store, now, newId: () => `${id} ${++ids}` })
}

/** Plays every scene on a runtime of its own, and lets that die: what ran, is interrupted. */
export async function playSessions(store: Store, now: () => number): Promise<void> {
  for (const scene of scenes) {
    const access = mortal(store)
    const runtime = open(access, scene, now)
    await scene.play(runtime.session(scene.id))
    access.die()
    if (scene.unheard) await store.say(scene.id, scene.unheard.runId, scene.unheard.said)
  }
}

/** Deletes a session, and closes the store after the deletion's first step. */
export async function halfDelete(store: Store): Promise<void> {
  store.watch(({ type }) => void (type === 'deleted' && store.close()))
  await store.deleteSession('half deleted').catch((error) => {
    if (error.code !== 'closed') throw error
  })
}
