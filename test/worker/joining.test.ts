import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PortMessage } from '../../src/protocol/messages.ts'
import { waitFor } from '../wait-for.ts'
import type { Feed } from './fixtures/fed-model.ts'
import { brief, Heard } from './fixtures/heard.ts'
import { connectPage, makeFedRuntime, quiet } from './fixtures/port.ts'

const isAck = ({ type }: PortMessage) => type === 'ack'

type Command =
  | { readonly do: 'text' | 'reasoning'; readonly part: number; readonly size: number }
  | { readonly do: 'source' | 'view' | 'hold' | 'release' | 'tool turn' | 'new run' | 'fail' }
  | { readonly do: 'listen'; readonly since: number }
  | { readonly do: 'wait'; readonly rounds: number }

const plain = <T extends Command['do']>(...names: T[]) => fc.constantFrom(...names).map((name) => ({ do: name }))
const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    {
      weight: 10,
      arbitrary: fc.record({
        do: fc.constantFrom('text' as const, 'text' as const, 'reasoning' as const),
        part: fc.nat(2),
        // Some are so large that the queue is dropped.
        size: fc.oneof(
          { weight: 6, arbitrary: fc.integer({ min: 1, max: 500 }) },
          { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 700_000 }) },
        ),
      }),
    },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('wait' as const), rounds: fc.integer({ min: 1, max: 4 }) }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('listen' as const), since: fc.double({ min: 0, max: 1, noNaN: true }) }),
    },
    { weight: 3, arbitrary: plain('source', 'view') as fc.Arbitrary<Command> },
    { weight: 6, arbitrary: plain('hold', 'release') as fc.Arbitrary<Command> },
    { weight: 4, arbitrary: plain('tool turn', 'new run', 'fail') as fc.Arbitrary<Command> },
  ),
  { minLength: 8, maxLength: 60 },
)

/** Text in which every place looks different, and pairs of surrogates are cut anywhere. */
function textOf(length: number, from: number): string {
  let text = ''
  for (let i = from; text.length < length; i++) text += i % 7 === 0 ? '👋🏽' : ` ${i}`
  return text.slice(0, length)
}

async function play(script: readonly Command[]) {
  const { runtime, model, store } = makeFedRuntime()
  const { page, tap, leave } = connectPage(runtime)
  // Another tab: a runtime of its own on the same store, which only follows.
  const other = makeFedRuntime({ store }).runtime
  const tab = connectPage(other)
  const session = page.session('s')
  const reference = new Heard()
  runtime.session('s').on('any', reference.hear)
  const listeners: { readonly heard: Heard; readonly since: number }[] = []
  const deltas = new Heard()
  session.on(['text-delta', 'reasoning-delta'], deltas.hear)
  const first = new Heard()
  session.on('any', first.hear)
  listeners.push({ heard: first, since: 0 })
  const views = [session.view]
  const undo = [session.view.subscribe(() => {})]
  await page.sessions.list()

  let written = 0
  let calls = 0
  let run = runtime.session('s').send('Begin')
  let feed: Feed = await model.next()
  for (const command of script) {
    switch (command.do) {
      case 'text':
      case 'reasoning':
        feed[command.do](textOf(command.size, written), `${command.do}${command.part}`)
        written += command.size
        break
      case 'source':
        feed.parts({ type: 'source', sourceType: 'url', id: `source${++calls}`, url: 'https://example.com/' })
        break
      case 'wait':
        await quiet(command.rounds)
        break
      case 'listen': {
        const heard = new Heard()
        const since = Math.min(Math.floor(command.since * (reference.durable.length + 1)), reference.durable.length)
        page.session('s').on('any', heard.hear, { since })
        listeners.push({ heard, since })
        const followed = new Heard()
        tab.page.session('s').on('any', followed.hear, { since })
        listeners.push({ heard: followed, since })
        break
      }
      case 'view': {
        for (const { view } of [page.session('s'), tab.page.session('s')]) {
          views.push(view)
          undo.push(view.subscribe(() => {}))
        }
        break
      }
      case 'hold':
        tap.holds = isAck
        break
      case 'release':
        tap.release()
        break
      case 'tool turn':
        feed.toolCall(`call${++calls}`, 'add', { a: calls, b: 1 })
        feed.finish('tool-calls')
        feed = await model.next()
        break
      case 'new run':
      case 'fail':
        if (command.do === 'fail') feed.break(new TypeError('Failed to fetch'))
        else feed.finish()
        await run.result.catch(() => {})
        run = runtime.session('s').send('Again')
        feed = await model.next()
    }
  }
  tap.release()
  await quiet(2)
  feed.text('The end.', 'end')
  feed.finish()
  await run.result
  const head = reference.durable.length
  reference.expectExact(0, head)
  await waitFor(() => {
    for (const { heard } of listeners) expect(heard.durable.at(-1)?.seq).toBe(head)
  })
  for (const { heard, since } of listeners) heard.expectExact(since, head)
  deltas.expectExact(0, 0)
  for (const [key, text] of reference.texts) expect(deltas.texts.get(key)?.length).toBe(text.length)

  const late = connectPage(runtime)
  const fresh = brief(await late.page.session('s').view.ready)
  expect(fresh.status).toBe('ready')
  await waitFor(() => {
    for (const view of views) expect(brief(view.getSnapshot())).toEqual(fresh)
  })
  for (const unsubscribe of undo) unsubscribe()
  await Promise.all([leave(), tab.leave(), late.leave()])
  await runtime.close()
  await other.close()
}

describe('joining in mid-stream', () => {
  it('is exact at any moment, for listeners and views, however slow the page is', { timeout: 60_000 }, async () => {
    await fc.assert(fc.asyncProperty(commands, play), { numRuns: 100, endOnFailure: true })
  })
})
