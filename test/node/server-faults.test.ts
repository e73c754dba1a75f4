import { APICallError } from '@ai-sdk/provider'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Asked, ask, modelAt, of, textOf } from '../server/ask.ts'
import { serverAt } from '../server/client.ts'
import { startServer, type TestServer } from '../server/server.ts'
import { cutsOf, streamBytes } from '../server/stream-bytes.ts'
import {
  answer,
  call,
  destroyBeforeHeaders,
  endless,
  endlessLine,
  hangAfterHeaders,
  hangBeforeHeaders,
  type Protocol,
  say,
  type Turn,
  text,
} from '../server/turns.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const script = (...turns: Turn[]) => serverAt(server.origin).script(turns)
const asked = async (turn: Turn, protocol: Protocol) => ask((await script(turn)).baseURL, protocol)
const bytesOf = async (baseURL: string, path: string): Promise<{ bytes: Uint8Array; broken: boolean }> => {
  const response = await fetch(`${baseURL}/${path}`, { method: 'POST', body: '{"stream":true}' })
  const chunks: Uint8Array[] = []
  let broken = false
  try {
    for await (const chunk of response.body ?? []) chunks.push(chunk)
  } catch {
    broken = true
  }
  return { bytes: Buffer.concat(chunks), broken }
}
/** A cut throws, from the call itself where nothing was put out yet, and gives no end. */
const brokenOff = async (turn: Turn, protocol: Protocol) => {
  const { parts, thrown } = await asked(turn, protocol).catch((thrown): Asked => ({ parts: [], thrown }))
  expect(thrown).toBeInstanceOf(Error)
  expect(of(parts, 'finish')).toEqual([])
}

describe.each<[Protocol, string]>([
  ['responses', 'responses'],
  ['chat', 'chat/completions'],
])('over %s', (protocol, path) => {
  const turn = answer([text('Zoë said 👋 twice'), call('wave', { name: 'Zoë' })])

  it('sends exactly the bytes that streamBytes foretells, whatever the ids are', async () => {
    const one = await script(turn, { ...turn, split: 7 }, { ...turn, pace: 1 })
    const foretold = streamBytes(turn, protocol)
    for (let count = 0; count < 3; count++) {
      const { bytes, broken } = await bytesOf(one.baseURL, path)
      expect(broken).toBe(false)
      expect(bytes.length).toBe(foretold.bytes.length)
      expect(streamBytes(turn, protocol, `${one.key}:${count}`).events).toEqual(foretold.events)
    }
  })

  it('cuts the stream at every boundary, after all bytes before it', async () => {
    const cuts = cutsOf(turn, protocol)
    const { events, lines, characters, bytes: whole } = streamBytes(turn, protocol)
    expect(cuts.length).toBe(new Set([...events, ...lines, ...characters]).size)
    expect(characters.length).toBeGreaterThan(4)
    const one = await script(...cuts.map((cutAt) => ({ ...turn, cutAt })))
    for (const cut of cuts) {
      const { bytes, broken } = await bytesOf(one.baseURL, path)
      expect({ cut, length: bytes.length, broken }).toEqual({ cut, length: cut, broken: true })
    }
    expect(whole.length).toBeGreaterThan(cuts.at(-1) ?? 0)
    expect((await one.waitFor('settled')).requests.every(({ state }) => state === 'cut')).toBe(true)
  })

  it('breaks off after an event, in a line and in a character', async () => {
    const { lines, characters, bytes } = streamBytes(turn, protocol)
    expect(bytes[lines[3] ?? 0]).not.toBe(0x0a)
    expect((bytes[characters[0] ?? 0] ?? 0) & 0xc0).toBe(0x80)
    await brokenOff({ ...turn, cutAt: { event: 6 } }, protocol)
    await brokenOff({ ...turn, cutAt: { line: 6 } }, protocol)
    await brokenOff({ ...turn, cutAt: { character: 0 } }, protocol)
  })

  it('ends cleanly in the middle, which the client reads as interrupted', async () => {
    const { parts, thrown } = await asked({ ...turn, cutAt: { event: 6 }, cutBy: 'end' }, protocol)
    expect(thrown).toBeUndefined()
    expect(of(parts, 'finish')[0]?.finishReason.unified).toBe('interrupted')
  })

  it('says so when a turn names a place that its stream has not', async () => {
    await expect(asked({ ...turn, cutAt: { event: 99 } }, protocol)).rejects.toThrow(/No such place .*"event":99/)
  })

  it('destroys the connection before any header', async () => {
    const error = await asked(destroyBeforeHeaders(), protocol).catch((thrown) => thrown)
    expect(APICallError.isInstance(error)).toBe(true)
    expect(error.message).toMatch(/Cannot connect to API/)
  })

  it('names a base URL that refuses connections', async () => {
    const baseURL = await serverAt(server.origin).refusedBaseURL()
    await expect(ask(baseURL, protocol)).rejects.toThrow(/Cannot connect to API/)
  })

  it.each<[string, Turn]>([
    ['hangs before headers', hangBeforeHeaders()],
    ['hangs after headers', hangAfterHeaders()],
    ['hangs in the middle of a line', say('Hello there', { cutAt: { line: 4 }, cutBy: 'hang' })],
    ['streams deltas without end', endless({ pace: 1 })],
    ['streams deltas without end or pause', endless({ pace: 0 })],
    ['sends a line that never ends', endlessLine()],
  ])('%s, and sees within a second that the client aborts', async (_, hanging) => {
    const one = await script(hanging)
    const abort = new AbortController()
    const call = ask(one.baseURL, protocol, { abortSignal: abort.signal }).then(
      ({ thrown }) => thrown,
      (error) => error,
    )
    await one.waitFor('requests:1')
    const at = Date.now()
    abort.abort()
    expect(await call).toMatchObject({ name: 'AbortError' })
    const { requests } = await one.waitFor('closed', 1000)
    expect(requests[0]?.state).toBe('closed')
    expect(requests[0]?.endedAt).toBeGreaterThanOrEqual(at)
  })

  it('streams endless deltas as they come', async () => {
    const one = await script(endless({ delta: 'la ', pace: 1 }))
    const abort = new AbortController()
    const { stream } = await modelAt(one.baseURL, protocol).doStream({
      prompt: [{ role: 'user', content: [{ type: 'text', text: 'Sing' }] }],
      abortSignal: abort.signal,
    })
    const reader = stream.getReader()
    let sung = ''
    while (sung.length < 30) {
      const { value } = await reader.read()
      if (value?.type === 'text-delta') sung += value.delta
    }
    expect(sung.startsWith('la la la ')).toBe(true)
    abort.abort()
    await one.waitFor('closed', 1000)
  })

  it('holds a stream until it is released', async () => {
    const one = await script(say('Before and after', { holdAt: { event: 4 } }))
    const call = ask(one.baseURL, protocol)
    expect((await one.waitFor('held')).requests[0]?.state).toBe('open')
    await one.release()
    expect(textOf((await call).parts)).toBe('Before and after')
    expect((await one.log()).held).toBe(0)
  })

  it('holds nothing for a client that is gone', async () => {
    const one = await script(say('Never read', { holdAt: 0 }))
    const abort = new AbortController()
    const call = ask(one.baseURL, protocol, { abortSignal: abort.signal })
    await one.waitFor('held')
    abort.abort()
    await expect(call).rejects.toThrow(/abort/)
    expect((await one.waitFor('closed', 1000)).held).toBe(0)
  })
})

it('ends what has no end at its cap', async () => {
  const short = await startServer({ cap: 50 })
  try {
    const one = await serverAt(short.origin).script([hangBeforeHeaders(), hangAfterHeaders(), endlessLine(), endless()])
    await expect(ask(one.baseURL, 'responses')).rejects.toThrow()
    await expect(ask(one.baseURL, 'responses').then(({ thrown }) => Promise.reject(thrown))).rejects.toThrow()
    await expect(ask(one.baseURL, 'responses').then(({ thrown }) => Promise.reject(thrown))).rejects.toThrow()
    expect(of((await ask(one.baseURL, 'responses')).parts, 'finish')[0]?.finishReason.unified).toBe('stop')
    expect((await one.requests()).map(({ state }) => state)).toEqual(['cut', 'cut', 'cut', 'answered'])
  } finally {
    await short.close()
  }
})

describe('the side door', () => {
  it('counts starts by name', async () => {
    const one = await script()
    await Promise.all([one.count('call_1'), one.count('call_1'), fetch(one.countURL('call/2'), { method: 'POST' })])
    await one.waitFor('count:3')
    expect(await one.counts()).toEqual({ call_1: 2, 'call/2': 1 })
  })

  it('tells what was seen when a wait is in vain', async () => {
    const one = await script(say('Hi'))
    await ask(one.baseURL, 'chat')
    await expect(one.waitFor('closed', 20)).rejects.toThrow('Not "closed" within 20 ms; seen: answered')
    await expect(one.waitFor('bored' as 'held')).rejects.toThrow(/Cannot wait until bored/)
  })

  it('knows a script again by its key', async () => {
    const one = await script(say('Hi'))
    const again = serverAt(server.origin).known(one.key)
    expect(textOf((await ask(again.baseURL, 'chat')).parts)).toBe('Hi')
  })
})

describe('preflights', () => {
  const preflight = (baseURL: string, headers: string) =>
    fetch(`${baseURL}/responses`, {
      method: 'OPTIONS',
      headers: {
        origin: 'http://localhost:1',
        'access-control-request-method': 'POST',
        'access-control-request-headers': headers,
      },
    })

  it('are granted whatever they ask for, by default', async () => {
    const one = await script()
    const response = await preflight(one.baseURL, 'authorization,content-type,user-agent')
    expect(response.ok).toBe(true)
    expect(response.headers.get('access-control-allow-headers')).toBe('authorization,content-type,user-agent')
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
  })

  it('fail in strict mode for any header but authorization and content-type', async () => {
    const one = await serverAt(server.origin).script([], { cors: 'strict' })
    expect((await preflight(one.baseURL, 'authorization,content-type')).ok).toBe(true)
    const refused = await preflight(one.baseURL, 'authorization,content-type,user-agent')
    expect(refused.ok).toBe(false)
    expect(refused.headers.get('access-control-allow-headers')).toBe('authorization, content-type')
    expect((await one.log()).preflights).toEqual([
      { headers: ['authorization', 'content-type'], allowed: true },
      { headers: ['authorization', 'content-type', 'user-agent'], allowed: false },
    ])
  })
})
