import { chatEvents } from './chat.ts'
import { responsesEvents } from './responses.ts'
import type { Answer, Place, Protocol, Raw } from './turns.ts'
import type { Payload } from './wire.ts'

export interface StreamBytes {
  bytes: Uint8Array<ArrayBuffer>
  /** Offset after each event; the last one is the length. */
  events: number[]
  /** One offset in the middle of each event's data line. */
  lines: number[]
  /** Every offset that lies inside a multi-byte character. */
  characters: number[]
}

/** An event as it stands on the wire. Responses name each event, Chat Completions don't. */
export function frame(payload: Payload | string, protocol: Protocol): string {
  const data = typeof payload === 'string' ? payload : JSON.stringify(payload)
  const name = protocol === 'responses' ? /"type":"([a-z_.]+)"/.exec(data)?.[1] : undefined
  return `${name ? `event: ${name}\n` : ''}data: ${data}\n\n`
}

/** The payloads of a turn, in order. */
export function payloads(turn: Answer | Raw, protocol: Protocol, seed = ''): Iterable<Payload | string> {
  if (turn.kind === 'answer') return protocol === 'chat' ? chatEvents(turn, seed) : responsesEvents(turn, seed)
  const unfinished = protocol === 'chat' && turn.payloads.at(-1) !== '[DONE]'
  return unfinished ? [...turn.payloads, '[DONE]'] : turn.payloads
}

/**
 * All bytes that the server sends for a turn without `cutAt`, with the places where a cut makes a difference. `seed`
 * changes ids only, never a length: an offset found here is the same place in what the server sends.
 */
export function streamBytes(turn: Answer | Raw, protocol: Protocol, seed = ''): StreamBytes {
  const encoder = new TextEncoder()
  const frames = Array.from(payloads(turn, protocol, seed), (payload) => encoder.encode(frame(payload, protocol)))
  const bytes = new Uint8Array(frames.reduce((length, part) => length + part.length, 0))
  const events: number[] = []
  const lines: number[] = []
  let length = 0
  for (const part of frames) {
    bytes.set(part, length)
    const line = part.lastIndexOf(0x0a, part.length - 3) + 1
    lines.push(length + line + Math.floor((part.length - 2 - line) / 2))
    length += part.length
    events.push(length)
  }
  const characters = [...bytes.keys()].filter((offset) => ((bytes[offset] ?? 0) & 0xc0) === 0x80)
  return { bytes, events, lines, characters }
}

/** The byte offset of a place. */
export function offsetOf(place: Place, stream: StreamBytes): number {
  const eventStart = (event: number) => (event === 0 ? 0 : stream.events[event - 1])
  let offset: number | undefined
  if (typeof place === 'number') offset = place <= stream.bytes.length ? place : undefined
  else if ('event' in place) offset = eventStart(place.event)
  else if ('line' in place) offset = stream.lines[place.line]
  else {
    const from = eventStart(place.character) ?? stream.bytes.length
    offset = stream.characters.find((character) => character >= from)
  }
  if (offset === undefined) {
    throw new Error(
      `No such place in the stream: ${JSON.stringify(place)}; it has ${stream.bytes.length} bytes, ` +
        `${stream.events.length} events and ${stream.characters.length} offsets inside characters`,
    )
  }
  return offset
}

/** Every offset before the end at which a cut makes a difference: 0, between events, in each line, in each character. */
export function cutsOf(turn: Answer | Raw, protocol: Protocol): number[] {
  const { bytes, events, lines, characters } = streamBytes(turn, protocol)
  const offsets = new Set([0, ...events, ...lines, ...characters])
  offsets.delete(bytes.length)
  return [...offsets].sort((a, b) => a - b)
}
