import { AgentError, type RunHandle } from 'turnloop'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isEnd } from '../../src/events/kinds.ts'
import { serverAt } from '../server/client.ts'
import { badGateway, httpError, quotaExceeded, rateLimited, serverError, unauthorized } from '../server/http-errors.ts'
import {
  type Answer,
  answer,
  call,
  destroyBeforeHeaders,
  endless,
  endlessLine,
  type HttpError,
  hangAfterHeaders,
  hangBeforeHeaders,
  type Protocol,
  reasoning,
  say,
  type Turn,
  text,
} from '../server/turns.ts'
import { waitFor } from '../wait-for.ts'
import { failureOf } from '../worker/fixtures/failures.ts'
import { recordsOf } from '../worker/fixtures/records.ts'
import { openPage } from './fixtures/worker-page.ts'

let place: ReturnType<typeof openPage>
beforeAll(() => {
  place = openPage()
})
afterAll(() => place.close())

const key = 'sk-canary-0123456789abcdef'

describe.each<Protocol>(['responses', 'chat'])('@ai-sdk/openai in a worker, over %s', (protocol) => {
  type Events = Awaited<ReturnType<typeof place.scripted>>['events']

  /** The error that ends the run as failed. */
  async function failed(run: RunHandle, events: Events): Promise<Error> {
    const error = await failureOf(run.result)
    expect(endsOf(run, events).map(({ kind }) => kind)).toEqual(['run-failed'])
    return error
  }

  /** The error that the run is stopped with: credentials can be put right. */
  async function refused(run: RunHandle, events: Events): Promise<Error> {
    expect(await run.result).toMatchObject({ status: 'stopped', reason: 'credentials', text: '' })
    const ends = endsOf(run, events)
    expect(ends).toMatchObject([{ kind: 'run-stopped', reason: 'credentials' }])
    const [end] = ends
    return (end?.kind === 'run-stopped' && end.error) || expect.unreachable()
  }

  const endsOf = (run: RunHandle, events: Events) =>
    events().filter(({ kind, runId }) => isEnd(kind) && runId === run.runId)

  /** A first send that comes to an error, and a second one that the endpoint takes. */
  async function fail(turn: Turn, options: Parameters<typeof place.scripted>[2] = {}, errorOf = failed) {
    const { script, session, events } = await place.scripted(protocol, [turn, say('Second')], options)
    const run = session.send('First')
    const error = await errorOf(run, events)
    if (!(error instanceof AgentError)) return expect.unreachable(String(error))
    expect((await session.view.ready).error).toMatchObject({ code: error.code })
    const asked = (await script.requests()).length
    expect((await session.send('Again').result).text).toBe('Second')
    expect((await script.requests()).map(({ refused }) => refused).filter(Boolean)).toEqual([])
    return { error, asked, session, script }
  }

  it.each<[string, HttpError, object]>([
    ['401', unauthorized(), { code: 'unauthorized', status: 401, recoverable: true }],
    ['403', httpError(403, { message: 'Not for {key}' }), { code: 'unauthorized', status: 403 }],
  ])('HTTP %s stops the run for its credentials, at the first attempt', async (_, turn, expected) => {
    const { error, asked } = await fail(turn, {}, refused)
    expect(error).toMatchObject(expected)
    expect(asked).toBe(1)
  })

  it('a run that HTTP 401 stopped goes on with other credentials, after its finished turns', async () => {
    const { script, session, events } = await place.scripted(protocol, [
      answer([call('add', { a: 1, b: 2 })]),
      unauthorized(),
      say('It is 3'),
    ])
    const run = session.send('1 + 2?')
    await refused(run, events)
    place.page.setCredentials({ baseURL: script.baseURL, protocol, apiKey: 'sk-another' })
    const { status, text } = await place.page.runs.resume(run.runId).result
    expect({ status, text }).toEqual({ status: 'completed', text: 'It is 3' })
    const requests = await script.requests()
    expect(requests.map(({ headers }) => headers.authorization).at(-1)).toBe('Bearer sk-another')
    expect(requests.map(({ refused }) => refused).filter(Boolean)).toEqual([])
    expect(events().filter(({ kind }) => kind === 'tool-execution-started')).toHaveLength(1)
    expect(endsOf(run, events).map(({ kind }) => kind)).toEqual(['run-stopped', 'run-completed'])
  })

  it.each<[string, HttpError, object]>([
    ['400', httpError(400, { message: 'Bad request' }), { code: 'bad-request', status: 400, recoverable: false }],
    ['404', httpError(404, { message: 'The model does not exist' }), { code: 'bad-request', status: 404 }],
    ['429', rateLimited({ retryAfter: 1 }), { code: 'rate-limited', status: 429, recoverable: true }],
    ['429 for good', quotaExceeded(), { code: 'rate-limited', status: 429 }],
    ['500', serverError(), { code: 'overloaded', status: 500, recoverable: true }],
    ['502 in HTML', badGateway(), { code: 'overloaded', status: 502, recoverable: true }],
  ])('HTTP %s ends the run typed, at the first attempt', async (_, turn, expected) => {
    const { error, asked } = await fail(turn)
    expect(error).toMatchObject(expected)
    expect(asked).toBe(1)
  })

  it('a connection that is refused ends it as unreachable', async () => {
    const { session } = await place.scripted(protocol, [])
    const baseURL = await serverAt((await import('vitest')).inject('modelServer')).refusedBaseURL()
    place.page.setCredentials({ baseURL, protocol })
    expect(await failureOf(session.send('Hi').result)).toMatchObject({ code: 'unreachable', recoverable: true })
  })

  it('a connection that breaks before headers ends it as unreachable', async () => {
    expect((await fail(destroyBeforeHeaders())).error).toMatchObject({ code: 'unreachable', recoverable: true })
  })

  const turn = answer([text('Zoë said 👋 twice'), call('add', { a: 1, b: 2 })])
  it.each<[string, Partial<Answer>]>([
    ['in mid-line', { cutAt: { line: 6 } }],
    ['in a multi-byte character', { cutAt: { character: 0 } }],
    ['between two events', { cutAt: { event: 6 } }],
    ['in mid-line, with a clean end', { cutAt: { line: 6 }, cutBy: 'end' }],
    ['between two events, with a clean end', { cutAt: { event: 6 }, cutBy: 'end' }],
    ['after the headers', { cutAt: 0 }],
    ['after the headers, with a clean end', { cutAt: 0, cutBy: 'end' }],
  ])('a stream that is cut %s ends it as interrupted', async (_, cut) => {
    const { error, session } = await fail({ ...turn, ...cut })
    expect(error).toMatchObject({ recoverable: true })
    expect(['model-interrupted', 'unreachable'], error.message).toContain(error.code)
    const { messages } = await session.view.ready
    for (const { metadata, parts } of messages.slice(1, -2)) {
      expect(metadata.status).toBe('partial')
      expect(parts.every(({ type }) => type === 'text')).toBe(true)
    }
  })

  it.each(['nested', 'flat', 'failed'] as const)(
    'an error event (%s) after HTTP 200 ends it typed, in the endpoint’s words',
    async (form) => {
      const { error } = await fail(
        answer([text('Half')], { error: { message: 'The engine is on fire', type: 'server_error', form } }),
      )
      expect(error).toMatchObject({
        code: 'overloaded',
        recoverable: true,
        message: expect.stringContaining('The engine is on fire'),
      })
    },
  )

  it('an error event before any output ends it typed, too', async () => {
    const { error } = await fail(answer([], { error: { message: 'Rate limit reached', type: 'rate_limit_exceeded' } }))
    expect(error).toMatchObject({ code: 'rate-limited', message: expect.stringContaining('Rate limit reached') })
  })

  it.each<[string, Turn]>([
    ['hangs before headers', hangBeforeHeaders()],
    ['hangs after headers', hangAfterHeaders()],
    ['hangs in mid-line', say('Hello there', { cutAt: { line: 4 }, cutBy: 'hang' })],
    ['sends a line that never ends', endlessLine()],
  ])('an endpoint that %s ends it at modelTimeout, and sees the connection close', async (_, hanging) => {
    const { script, session, events } = await place.scripted(protocol, [hanging, say('Second')])
    const run = session.send('First', { agent: 'hasty' })
    expect(await failureOf(run.result)).toMatchObject({ code: 'model-timeout', recoverable: true })
    await script.waitFor('closed', 1000)
    expect(events().filter(({ kind }) => isEnd(kind))).toHaveLength(1)
    expect((await session.send('Again', { agent: 'assistant' }).result).text).toBe('Second')
  })

  it.each<[string, Turn]>([
    ['hangs before headers', hangBeforeHeaders()],
    ['hangs after headers', hangAfterHeaders()],
    ['hangs in mid-line', say('Hello there', { cutAt: { line: 4 }, cutBy: 'hang' })],
    ['sends a line that never ends', endlessLine()],
    ['streams without end', endless({ pace: 1 })],
    ['streams without end or pause', endless({ pace: 0 })],
  ])('an endpoint that %s sees within a second that the run is disposed', async (_, hanging) => {
    const { script, session } = await place.scripted(protocol, [hanging, say('Second')])
    const run = session.send('First')
    await script.waitFor('requests:1')
    run[Symbol.dispose]()
    await script.waitFor('closed', 1000)
    expect((await failureOf(run.result)).name).toBe('AbortError')
    expect((await session.send('Again').result).text).toBe('Second')
    expect((await script.requests()).map(({ refused }) => refused).filter(Boolean)).toEqual([])
  })

  it('disposal aborts every running tool, and the calls are closed in the next prompt', async () => {
    const { script, session } = await place.scripted(protocol, [])
    await script.add(
      answer([call('slow', { countURL: script.countURL('') }), call('slow', { countURL: script.countURL('') })]),
      say('Second'),
    )
    const run = session.send('First')
    await script.waitFor('count:2')
    run[Symbol.dispose]()
    await script.waitFor('count:4', 1000)
    expect(await script.counts()).toEqual({ started: 2, aborted: 2 })
    expect((await failureOf(run.result)).name).toBe('AbortError')
    expect((await session.send('Again').result).text).toBe('Second')
    expect((await script.requests()).map(({ refused }) => refused).filter(Boolean)).toEqual([])
  })

  it.each<[string, Turn, typeof failed?]>([
    ['HTTP 401', unauthorized(), refused],
    ['HTTP 401 in HTML', { kind: 'http-error', status: 401, body: '<p>No such key: {key}</p>' }, refused],
    ['HTTP 403', httpError(403, { message: 'Not for {key}' }), refused],
    ['HTTP 400', httpError(400, { message: 'Incorrect API key provided: {key}.' })],
    ['HTTP 429', httpError(429, { message: 'Too much for {key}' })],
    ['HTTP 500', httpError(500, { message: 'Bearer {key} broke it' })],
    [
      'an error event',
      answer([text('Half')], { error: { message: `The key ${key} is out of quota`, type: 'insufficient_quota' } }),
    ],
    ['an error event before any output', answer([], { error: { message: `The key ${key} is out of quota` } })],
  ])('a key that %s repeats reaches no event, no record and no error', async (_, turn, errorOf) => {
    const { error, session } = await fail(turn, { endpoint: { apiKey: key } }, errorOf)
    expect(
      JSON.stringify({ ...error, message: error.message, stack: error.stack, cause: String(error.cause) }),
    ).not.toContain(key)
    expect(JSON.stringify(await session.view.ready)).not.toContain(key)
    expect(
      JSON.stringify(
        place.heard.map((event) =>
          'error' in event && event.error
            ? { ...event, error: `${event.error.message} ${event.error.stack} ${event.error.cause}` }
            : event,
        ),
      ),
    ).not.toContain(key)
    const records = JSON.stringify(await recordsOf(place.database))
    expect(records).toContain(session.id)
    expect(records).not.toContain(key)
  })

  it('a stream that is held goes on when it may, and a second page sees what there is', async () => {
    const { script, session } = await place.scripted(protocol, [say('Before and after', { holdAt: { event: 6 } })])
    const run = session.send('Hi')
    await script.waitFor('held')
    const { view } = session
    const leave = view.subscribe(() => {})
    await waitFor(() => expect(view.getSnapshot()).toMatchObject({ status: 'streaming' }))
    await script.release()
    expect((await run.result).text).toBe('Before and after')
    leave()
  })

  it('a stream in the smallest bytes is put together', async () => {
    const { session } = await place.scripted(protocol, [
      { ...answer([reasoning(['Hm']), text('Zoë 👋🏽 done'), call('add', { a: 1, b: 2 })]), split: 7 },
      say('3'),
    ])
    expect((await session.send('Hi').result).text).toBe('3')
    expect((await session.view.ready).messages[1]?.parts).toContainEqual(
      expect.objectContaining({ text: 'Zoë 👋🏽 done' }),
    )
  })
})
