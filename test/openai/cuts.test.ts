import { createOpenAI } from '@ai-sdk/openai'
import type { AnyEvent } from 'turnloop'
import { createRuntime, defineAgent, memoryStore, tool } from 'turnloop/runtime'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { isEnd } from '../../src/events/kinds.ts'
import { checkPrompt, type StoredItem, storedItems } from '../server/check-prompt.ts'
import { cutsOf, payloads, streamBytes } from '../server/stream-bytes.ts'
import { answer, call, type Protocol, reasoning, say, text } from '../server/turns.ts'
import { openPage } from './fixtures/worker-page.ts'

const protocols: Protocol[] = ['responses', 'chat']
const whole = answer([
  reasoning(['Zoë adds them']),
  text('Let me see, Zoë 👋: '),
  call('add', { a: 1, b: 2 }),
  call('add', { a: 3, b: 4 }),
])
const done = say('Done')

type Cut = { readonly at: number; readonly by: 'destroy' | 'end' }

/** An endpoint in this thread: cuts its first answer, gives the others whole, and refuses prompts as OpenAI does. */
function endpoint(protocol: Protocol, { at, by }: Cut) {
  const stored = new Map<string, StoredItem>()
  const refused: string[] = []
  let asked = 0
  const fetch = async (_: unknown, init?: { body?: unknown }) => {
    const bad = checkPrompt(protocol, JSON.parse(String(init?.body)), stored)
    if (bad) {
      refused.push(bad.message)
      return new Response(JSON.stringify({ error: { message: bad.message } }), { status: bad.status })
    }
    const seed = `${protocol}${at}${by}:${asked++}`
    const turn = asked === 1 ? whole : done
    const { bytes } = streamBytes(turn, protocol, seed)
    // What breaks off leaves nothing behind.
    if (protocol === 'responses' && (asked > 1 || at === bytes.length)) {
      for (const [id, item] of storedItems([...payloads(turn, protocol, seed)].at(-1))) stored.set(id, item)
    }
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        const sent = asked === 1 ? bytes.slice(0, at) : bytes
        if (sent.length > 0) controller.enqueue(sent)
        if (asked > 1 || by === 'end') controller.close()
      },
      pull(controller) {
        controller.error(new TypeError('network error'))
      },
    })
    return new Response(body, { status: 200, headers: { 'content-type': 'text/event-stream' } })
  }
  return { fetch: fetch as typeof globalThis.fetch, refused, asked: () => asked }
}

const add = tool({
  description: 'Adds two numbers',
  inputSchema: z.object({ a: z.number(), b: z.number() }),
  execute: ({ a, b }) => a + b,
})

/** What is wrong after a first run over a stream that was cut, and a second one; nothing if all is well. */
async function faultsAfter(protocol: Protocol, cut: Cut): Promise<string[]> {
  const { fetch, refused } = endpoint(protocol, cut)
  const openai = createOpenAI({ baseURL: 'https://model.invalid/v1', apiKey: 'sk-test', fetch })
  const model = protocol === 'chat' ? openai.chat('gpt-5-mini') : openai.responses('gpt-5-mini')
  const agent = defineAgent({ name: 'assistant', model, tools: { add }, retry: { baseDelay: 1 } })
  const runtime = createRuntime(agent, { store: memoryStore() })
  const events: AnyEvent[] = []
  runtime.on('any', (event) => void events.push(event))
  const faults: string[] = []
  const send = async (input: string) => {
    const run = runtime.session('s').send(input)
    const outcome = await run.result.catch((error) => error)
    const own = events.filter(({ runId }) => runId === run.runId)
    const ends = own.filter(({ kind }) => isEnd(kind))
    if (ends.length !== 1 || own.at(-1) !== ends[0])
      faults.push(`ends of ${input}: ${ends.map(({ kind }) => kind)}, last ${own.at(-1)?.kind}`)
    return outcome
  }
  const first = await send('First')
  // Whatever it is, it says why; a whole answer may have come before the cut.
  if (
    first instanceof Error &&
    !['model-interrupted', 'unreachable', 'model-failed'].includes((first as { code?: string }).code ?? '')
  )
    faults.push(`first: ${first}`)
  const second = await send('Second')
  if (second.text !== 'Done') faults.push(`second: ${second}`)
  faults.push(...refused.map((message) => `refused: ${message}`))
  const durable = events.filter(
    ({ kind }) =>
      !/delta|started|queued|created|part|tool-call/.test(kind) ||
      kind === 'run-started' ||
      kind === 'tool-execution-started',
  )
  if (durable.some(({ seq }, i) => i > 0 && seq < (durable[i - 1]?.seq ?? 0))) faults.push('events out of order')
  const { messages, status } = await runtime.session('s').view.ready
  if (status !== 'ready') faults.push(`status ${status}`)
  for (const { role, metadata, parts } of messages) {
    if (role !== 'assistant') continue
    if (metadata.status === 'streaming') faults.push('a message that still streams')
    for (const part of parts) {
      if (
        'state' in part &&
        (part.state === 'streaming' || part.state === 'input-streaming' || part.state === 'input-available')
      )
        faults.push(`a part left as ${part.state}`)
    }
  }
  await runtime.close()
  return faults.map((fault) => `cut at ${cut.at} by ${cut.by}: ${fault}`)
}

describe.each(protocols)('a stream over %s', (protocol) => {
  it.each(['destroy', 'end'] as const)(
    'cut at every boundary (%s) gives one end, and a history that the endpoint takes',
    { timeout: 60_000 },
    async (by) => {
      const cuts = cutsOf(whole, protocol)
      expect(cuts.length).toBeGreaterThan(30)
      const faults: string[] = []
      for (const at of cuts) faults.push(...(await faultsAfter(protocol, { at, by })))
      expect(faults).toEqual([])
    },
  )

  it('that is whole is none of these', async () => {
    const { length } = streamBytes(whole, protocol).bytes
    expect(await faultsAfter(protocol, { at: length, by: 'end' })).toEqual([])
  })
})

describe.each(protocols)('a stream over %s and HTTP, in a worker', (protocol) => {
  let place: ReturnType<typeof openPage>
  beforeAll(() => {
    place = openPage()
  })
  afterAll(() => place.close())

  it('cut at a sample of the boundaries gives one end, and a history that the endpoint takes', {
    timeout: 60_000,
  }, async () => {
    const cuts = cutsOf(whole, protocol)
    const sample = cuts.filter((_, i) => i % 8 === 0)
    for (const cutAt of sample) {
      const { script, session, events } = await place.scripted(protocol, [{ ...whole, cutAt }, done, done])
      const run = session.send('First')
      await run.result.catch(() => {})
      const ends = events().filter(({ kind, runId }) => isEnd(kind) && runId === run.runId)
      expect({ cutAt, ends: ends.length }).toEqual({ cutAt, ends: 1 })
      expect((await session.send('Second').result).text).toBe('Done')
      const { requests } = await script.log()
      expect({ cutAt, refused: requests.flatMap(({ refused }) => refused ?? []) }).toEqual({ cutAt, refused: [] })
    }
    expect(sample.length).toBeGreaterThan(4)
  })
})
