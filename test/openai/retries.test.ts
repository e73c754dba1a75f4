import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest'
import { serverAt } from '../server/client.ts'
import { httpError, rateLimited, serverError, unauthorized } from '../server/http-errors.ts'
import {
  answer,
  call,
  destroyBeforeHeaders,
  endless,
  hangAfterHeaders,
  hangBeforeHeaders,
  type Protocol,
  say,
  type Turn,
  text,
} from '../server/turns.ts'
import { failureOf } from '../worker/fixtures/failures.ts'
import { openPage } from './fixtures/worker-page.ts'

let place: ReturnType<typeof openPage>
beforeAll(() => {
  place = openPage()
})
afterAll(() => place.close())

const patient = { agent: 'patient' } as const
const modelsOf = (requests: readonly { readonly body: unknown }[]) =>
  requests.map(({ body }) => (body as { readonly model: string }).model)

describe.each<Protocol>(['responses', 'chat'])('@ai-sdk/openai in a worker, over %s, is asked again', (protocol) => {
  const start = async (turns: Turn[]) => {
    const scripted = await place.scripted(protocol, turns)
    const of = (kind: string) => scripted.events().filter((event) => event.kind === kind)
    return { ...scripted, of }
  }

  it.each<[string, Turn, ('patient' | 'impatient')?]>([
    ['HTTP 500', serverError()],
    ['HTTP 408', httpError(408, { message: 'Too late' })],
    ['HTTP 409', httpError(409, { message: 'Busy' })],
    ['a connection that breaks before headers', destroyBeforeHeaders()],
    ['a drop in mid-stream', say('Half of an answer', { cutAt: { event: 5 } })],
    ['a drop in mid-line', say('Half of an answer', { cutAt: { line: 5 } })],
    ['a stream that ends in its midst', say('Half of an answer', { cutAt: { event: 5 }, cutBy: 'end' })],
    ['an error event after HTTP 200', answer([text('Half')], { error: { message: 'On fire', type: 'server_error' } })],
    ['silence before headers', hangBeforeHeaders(), 'impatient'],
    ['silence after headers', hangAfterHeaders(), 'impatient'],
    ['silence in mid-answer', say('Half of an answer', { cutAt: { event: 5 }, cutBy: 'hang' }), 'impatient'],
    ['an answer without end', endless({ pace: 5 }), 'impatient'],
  ])('after %s, and what it had said is void', async (_, failed, agent = 'patient') => {
    const { script, session, of } = await start([failed, say('Whole')])
    const output = await session.send('Hi', { agent }).result
    expect(output).toMatchObject({ status: 'completed', text: 'Whole', turns: 1 })
    expect(of('model-retried')).toMatchObject([{ attempt: 1, error: { name: 'AgentError' } }])
    expect(of('message-voided')).toHaveLength(1)
    const [first, second, ...more] = await script.requests()
    expect(more).toEqual([])
    expect(second?.body).toEqual(first?.body)
    const { messages } = await session.view.ready
    expect(messages.map(({ role, metadata }) => [role, metadata.status])).toEqual([
      ['user', 'done'],
      ['assistant', 'done'],
    ])
  })

  it('after a connection was refused', async () => {
    const { script, session, of } = await start([say('Hello')])
    place.page.setCredentials({ baseURL: await serverAt(inject('modelServer')).refusedBaseURL(), protocol })
    const listener = session.on('model-retried', () => place.page.setCredentials({ baseURL: script.baseURL, protocol }))
    onTestFinished(() => listener.abort())
    expect(await session.send('Hi', { agent: 'persistent' }).result).toMatchObject({ text: 'Hello' })
    // It may ask once more before the worker has heard of the other endpoint.
    const codes = new Set(of('model-retried').map((event) => (event as { error: { code: string } }).error.code))
    expect([...codes]).toEqual(['unreachable'])
    expect(await script.requests()).toHaveLength(1)
  })

  it('when the endpoint says, by its header', async () => {
    const { script, session, of } = await start([
      rateLimited({ retryAfterMs: 150 }),
      rateLimited({ retryAfter: 1 }),
      say('Hello'),
    ])
    expect(await session.send('Hi', patient).result).toMatchObject({ text: 'Hello' })
    expect(of('model-retried')).toMatchObject([
      { delay: 150, error: { code: 'rate-limited', retryAfter: 150 } },
      { delay: 1000, error: { code: 'rate-limited', retryAfter: 1000 } },
    ])
    const [first, second, third] = (await script.requests()).map(({ at }) => at) as [number, number, number]
    expect(second - first).toBeGreaterThanOrEqual(149)
    expect(third - second).toBeGreaterThanOrEqual(999)
  })

  it('three times; then another model is, and goes on with the run', async () => {
    const failed = serverError()
    const { script, session, of } = await start([
      failed,
      failed,
      failed,
      answer([call('add', { a: 1, b: 2 })]),
      say('It is 3'),
    ])
    expect(await session.send('1 + 2?', patient).result).toMatchObject({ text: 'It is 3', turns: 2 })
    const [mini, nano] = ['gpt-5-mini', 'gpt-5-nano']
    expect(modelsOf(await script.requests())).toEqual([mini, mini, mini, nano, nano])
    expect(of('model-switched')).toMatchObject([{ to: 'fallbacks[0]', error: { code: 'overloaded', status: 500 } }])
    expect(of('tool-execution-started')).toHaveLength(1)
  })

  it('with what its tools gave: none of them starts twice', async () => {
    const { script, session, of } = await start([
      answer([call('add', { a: 1, b: 2 })]),
      serverError(),
      say('It is', { cutAt: { event: 4 } }),
      say('It is 3'),
    ])
    expect(await session.send('1 + 2?', patient).result).toMatchObject({ text: 'It is 3', turns: 2 })
    expect(of('tool-execution-started')).toHaveLength(1)
    expect((await script.requests()).map(({ refused }) => refused).filter(Boolean)).toEqual([])
  })

  it('but not after HTTP 400, where another model is at once, and not after HTTP 401', async () => {
    const { script, session } = await start([httpError(400, { message: 'No' }), say('Hello')])
    expect(await session.send('Hi', patient).result).toMatchObject({ text: 'Hello' })
    expect(modelsOf(await script.requests())).toEqual(['gpt-5-mini', 'gpt-5-nano'])
    const other = await start([unauthorized(), say('Hello')])
    expect(await other.session.send('Hi', patient).result).toMatchObject({ reason: 'credentials' })
    expect(await other.script.requests()).toHaveLength(1)
  })

  it('for a bounded number of times', async () => {
    const { script, session } = await start([...Array.from({ length: 10 }, serverError)])
    expect(await failureOf(session.send('Hi', patient).result)).toMatchObject({ code: 'overloaded' })
    expect(await script.requests()).toHaveLength(6)
  })

  it('once the browser is online again, where it was not', async () => {
    const { script, session, of } = await start([say('Hello')])
    place.page.setCredentials({ baseURL: await serverAt(inject('modelServer')).refusedBaseURL(), protocol })
    dispatchEvent(new Event('offline'))
    onTestFinished(() => void dispatchEvent(new Event('online')))
    const waiting = new Promise((resolve) => session.on('run-waiting', resolve))
    const run = session.send('Hi', patient)
    expect(await waiting).toMatchObject({ waitingFor: 'offline' })
    place.page.setCredentials({ baseURL: script.baseURL, protocol })
    dispatchEvent(new Event('online'))
    expect(await run.result).toMatchObject({ text: 'Hello', turns: 1 })
    expect(of('model-retried')).toEqual([])
  })
})
