import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, test, vi } from 'vitest'
import { assistant } from '../../docs/examples/weather/src/agent.worker.ts'
import readme from '../../README.md?raw'
import { durableKinds, endKinds, eventKinds } from '../../src/events/kinds.ts'
import { codeBlocks } from './markdown.ts'

interface Drawn {
  readonly kind: string
  /** The bracket before it: a transaction begins, goes on, ends, or is this one event. */
  readonly bracket: string
  readonly live: boolean
  readonly repeated: boolean
  readonly end: boolean
}

const drawing = codeBlocks(readme).find(({ code }) => code.includes('input-queued'))?.code ?? ''
const drawn = drawing.split('\n').flatMap((line): Drawn[] => {
  const match = /^ ?([┌│└─ ]) {1,3}([a-z-]+)( ~)?( …)?( ∎)?(?: {2,}.*)?$/.exec(line)
  if (!match) return []
  const [, bracket = '', kind = '', live, repeated, end] = match
  return [{ kind, bracket: bracket.trim(), live: !!live, repeated: !!repeated, end: !!end }]
})

test('the order of events in the README is the order of events', async () => {
  vi.stubGlobal('fetch', async () => Response.json({ celsius: 21 }))
  const store = memoryStore()
  const commit = vi.spyOn(store, 'commit')
  const model = scriptedModel([reply.call('forecast', { city: 'Porto' }), reply.text('It is 21 degrees there.')])
  await using runtime = createRuntime(assistant, { model, store })
  const told: string[] = []
  runtime.on('any', ({ kind }) => {
    told.push(kind)
  })
  await runtime.session().send('How warm is it in Porto?').result

  // every line of it was understood
  expect(drawn).toHaveLength(drawing.split('\n').filter((line) => line.trim()).length)
  const repeated = new Set(drawn.filter((event) => event.repeated).map(({ kind }) => kind))
  const once = told.filter((kind, at) => !repeated.has(kind) || told[at - 1] !== kind)
  expect(once).toEqual(drawn.map(({ kind }) => kind))

  const transactions: string[][] = []
  for (const { kind, bracket } of drawn.filter(({ live }) => !live)) {
    if (bracket === '┌' || bracket === '─') transactions.push([kind])
    else transactions.at(-1)?.push(kind)
  }
  expect(transactions).toEqual(commit.mock.calls.map(([{ events }]) => events.map(({ kind }) => kind)))
})

test('the drawing marks what is live, what repeats and what ends', () => {
  const durable = new Set<string>(durableKinds)
  for (const { kind, live, repeated, end, bracket } of drawn) {
    expect(eventKinds.has(kind), kind).toBe(true)
    expect(live, kind).toBe(!durable.has(kind))
    expect(bracket === '', kind).toBe(live)
    expect(repeated, kind).toBe(kind.endsWith('-delta'))
    expect(end, kind).toBe((endKinds as readonly string[]).includes(kind))
  }
})
