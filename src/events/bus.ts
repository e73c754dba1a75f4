import type { Ancestor } from '../sessions/records.ts'
import { type AnyEvent, type EventKind, type EventPayloads, isChat } from './kinds.ts'

/** Tells an event of one run; the envelope is the run's. */
export type Emit<Kinds extends EventKind = EventKind> = <K extends Kinds>(kind: K, payload: EventPayloads[K]) => void

/** Somebody who hears events: a connection. It must not throw, and it must not block. */
export interface Sink {
  wants(kind: EventKind, sessionId: string, runId: string, ancestors?: readonly Ancestor[]): boolean
  receive(event: AnyEvent): void
}

/** Hands events to those who want them, in order, at once. */
export class Bus {
  readonly #sinks = new Set<Sink>()

  connect(sink: Sink): () => void {
    this.#sinks.add(sink)
    return () => this.#sinks.delete(sink)
  }

  /** Whether anybody would hear it: what nobody hears need not be made. */
  wants(kind: EventKind, sessionId: string, runId: string, ancestors?: readonly Ancestor[]): boolean {
    for (const sink of this.#sinks) if (sink.wants(kind, sessionId, runId, ancestors)) return true
    return false
  }

  publish(event: AnyEvent): void {
    for (const sink of this.#sinks) {
      if (sink.wants(event.kind, event.sessionId, event.runId, event.ancestors)) sink.receive(event)
    }
  }
}

/** The kinds that one listener asked for, `any` included. */
export class KindFilter {
  readonly #kinds: ReadonlySet<string>
  readonly #any: boolean

  constructor(kinds: readonly (EventKind | 'any')[]) {
    this.#kinds = new Set(kinds)
    this.#any = this.#kinds.has('any')
  }

  has(kind: EventKind): boolean {
    return this.#kinds.has(kind) || (this.#any && !isChat(kind))
  }
}
