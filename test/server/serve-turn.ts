import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { chatEvents } from './chat.ts'
import { errorBody } from './http-errors.ts'
import { responsesEvents } from './responses.ts'
import { frame, offsetOf, type StreamBytes, streamBytes } from './stream-bytes.ts'
import type { Answer, Endless, Protocol, Raw, Turn } from './turns.ts'

export interface Serving {
  response: ServerResponse
  protocol: Protocol
  /** Of the ids in the answer. */
  seed: string
  authorization: string | undefined
  /** Aborts when the connection is gone. */
  gone: AbortSignal
  /** Milliseconds that anything without an end of its own may last. */
  cap: number
  /** Waits for the test's word. */
  hold(signal: AbortSignal): Promise<void>
  /** Told before the connection shows it; `answered` once all bytes were handed over. */
  ended(how: 'answered' | 'cut'): void
}

/** Does to the connection what the turn says. Does not reject when the connection is gone. */
export async function serveTurn(turn: Turn, serving: Serving): Promise<void> {
  const { response, gone } = serving
  if (turn.kind === 'hang') await pause(serving.cap, gone)
  if (turn.kind === 'hang' || turn.kind === 'destroy') return cutConnection(serving)
  if ('delay' in turn && turn.delay) await pause(turn.delay, gone)
  if (gone.aborted) return
  if (turn.kind === 'http-error') {
    const type = typeof turn.body === 'string' ? 'text/html' : 'application/json'
    response.writeHead(turn.status, { 'content-type': type, ...turn.headers })
    response.end(errorBody(turn, serving.authorization), () => serving.ended('answered'))
    return
  }

  // A turn that can't be encoded fails here, while an error can still be told.
  const send = turn.kind === 'endless' ? () => serveEndless(turn, serving) : streamSender(turn, serving)
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    'openai-version': '2020-10-01',
  })
  response.flushHeaders()
  await send()
}

/** What was written still arrives; without the body's last chunk the client sees that it broke off. */
function cutConnection(serving: Serving): void {
  serving.ended('cut')
  serving.response.socket?.destroySoon()
}

function streamSender(turn: Answer | Raw, serving: Serving): () => Promise<void> {
  const stream = streamBytes(turn, serving.protocol, serving.seed)
  const cut = turn.cutAt === undefined ? undefined : offsetOf(turn.cutAt, stream)
  const hold = turn.holdAt === undefined ? undefined : offsetOf(turn.holdAt, stream)
  const places = { cut, hold, end: cut ?? stream.bytes.length }
  return () => serveStream(turn, stream, places, serving)
}

async function serveStream(
  turn: Answer | Raw,
  { bytes, events }: StreamBytes,
  { cut, hold, end }: { cut: number | undefined; hold: number | undefined; end: number },
  serving: Serving,
): Promise<void> {
  const { response, gone } = serving
  const holdAt = async (offset: number) => {
    if (offset === hold) await serving.hold(AbortSignal.any([gone, AbortSignal.timeout(serving.cap)]))
  }

  let sent = 0
  await holdAt(sent)
  for (const stop of stops(turn, events, end, hold)) {
    if (turn.pace && sent > 0) await pause(turn.pace, gone)
    if (gone.aborted) return
    await write(response, bytes.subarray(sent, stop), gone)
    sent = stop
    await holdAt(sent)
  }
  if (cut === undefined || turn.cutBy === 'end') {
    response.end(() => serving.ended(cut === undefined ? 'answered' : 'cut'))
    return
  }
  if (turn.cutBy === 'hang') await pause(serving.cap, gone)
  if (turn.cutBy === 'endless-line') await writeEndlessLine(serving)
  cutConnection(serving)
}

/** Offsets up to which to write, one after the other; a hold is a stop of its own. */
function stops(turn: Answer | Raw, events: number[], end: number, hold: number | undefined): number[] {
  let offsets = [end]
  if (turn.split) {
    const { split } = turn
    offsets = Array.from({ length: Math.ceil(end / split) }, (_, index) => Math.min((index + 1) * split, end))
  } else if (turn.pace) {
    offsets = [...events.filter((offset) => offset < end), end]
  }
  if (hold !== undefined && hold < end) offsets.push(hold)
  return [...new Set(offsets)].filter((offset) => offset > 0).sort((a, b) => a - b)
}

async function serveEndless(turn: Endless, serving: Serving): Promise<void> {
  const { response, protocol, seed, gone } = serving
  const until = Date.now() + serving.cap
  const deltas = (function* () {
    while (Date.now() < until) yield turn.delta
  })()
  // The encoders only iterate over deltas, so that a generator passes for the array.
  const part = { type: 'text', deltas: deltas as unknown as string[] } as const
  const answer: Answer = { kind: 'answer', parts: [part], usage: { output: 1 } }
  const events = protocol === 'chat' ? chatEvents(answer, seed) : responsesEvents(answer, seed)
  let turnOfLoop = Date.now()
  for (const event of events) {
    await write(response, frame(event, protocol), gone)
    if (gone.aborted) return
    if (turn.pace > 0) await pause(turn.pace, gone)
    else if (Date.now() - turnOfLoop >= 8) {
      await pause(0, gone)
      turnOfLoop = Date.now()
    }
  }
  response.end(() => serving.ended('answered'))
}

async function writeEndlessLine({ response, gone, cap }: Serving): Promise<void> {
  const until = Date.now() + cap
  const bytes = new Uint8Array(16_384).fill(0x61)
  while (!gone.aborted && Date.now() < until) {
    await write(response, bytes, gone)
    await pause(1, gone)
  }
}

async function write(response: ServerResponse, chunk: Uint8Array | string, gone: AbortSignal): Promise<void> {
  if (gone.aborted || response.write(chunk)) return
  await once(response, 'drain', { signal: gone }).catch(() => {})
}

async function pause(milliseconds: number, gone: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { signal: gone }).catch(() => {})
}
