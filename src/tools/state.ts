import type { JSONValue } from '@ai-sdk/provider'
import { AgentError } from '../errors.ts'
import type { Step } from '../sessions/step.ts'
import { toJson } from './tool-output.ts'

/** Bytes of JSON (UTF-8) that a session's state may have: it is written with every step that changes it. */
const maxState = 64 * 1024

interface Staged {
  readonly value: JSONValue | undefined
  /** Sets are numbered from 1 as they come. */
  readonly order: number
}

/**
 * The session's state, as a run holds it. What a call sets is seen by all calls at once, and stored with the call's result;
 * where that is no success, it is dropped. Of several calls' states the one that was set last is stored, whichever call
 * finishes last.
 */
export class State {
  #stored: Staged
  #sets = 0
  /** By call, the last one set last. */
  readonly #staged = new Map<string, Staged>()

  constructor(value: JSONValue | undefined) {
    this.#stored = { value, order: 0 }
  }

  /** A copy: whoever changes it changes nothing here. */
  get(): unknown {
    return structuredClone([...this.#staged.values(), this.#stored].reduce(later).value)
  }

  /** Throws `invalid-argument` for what is no JSON, `state-too-large` for too much of it. `undefined` clears the state. */
  set(toolCallId: string, value: unknown): void {
    this.#staged.set(toolCallId, { value: value === undefined ? undefined : checkedState(value), order: ++this.#sets })
  }

  /** The call has its result: what is to be stored with it. */
  settle(toolCallId: string, kept: boolean): Pick<Step, 'state'> {
    const staged = this.#staged.get(toolCallId)
    this.#staged.delete(toolCallId)
    if (!kept || !staged || later(staged, this.#stored) !== staged) return {}
    this.#stored = staged
    return { state: staged }
  }
}

const later = (a: Staged, b: Staged) => (a.order > b.order ? a : b)

/** Throws `invalid-argument` for what is no JSON, `state-too-large` for too much of it. */
export function checkedState(value: unknown): JSONValue {
  const copy = toJson(value, { subject: 'The state', verb: 'set' })
  const size = new TextEncoder().encode(JSON.stringify(copy)).length
  if (size <= maxState) return copy
  throw new AgentError(
    'state-too-large',
    `The state has ${size} bytes as JSON; ${maxState} are allowed. Keep large things elsewhere, and references to them in the state.`,
  )
}
