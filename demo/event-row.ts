import type { AnyEvent } from 'turnloop'
import { element, toJson } from './dom.ts'

/** One event in the inspector, or a row of deltas of the same part. */
export class EventRow {
  readonly element: HTMLLIElement
  readonly #merged = element('span', { className: 'merged' })
  readonly #preview = element('span', { className: 'preview' })
  readonly #details = element('details')
  readonly #json = element('pre', { tabIndex: 0 })
  #event: AnyEvent
  #count = 1
  #delta: string

  constructor(event: AnyEvent) {
    this.#event = event
    this.#delta = deltaOf(event)
    const kind = element('code', { className: 'kind' }, event.kind)
    kind.dataset.family = familyOf(event.kind)
    const time = element('time', { dateTime: new Date(event.at).toISOString() }, clock(event.at))
    this.#details.append(element('summary', {}, time, kind, this.#merged, this.#preview))
    this.#details.addEventListener('toggle', () => this.render())
    this.element = element('li', {}, this.#details)
  }

  /** Takes the event in where it goes on with this row's part. */
  merge(event: AnyEvent): boolean {
    const last = this.#event
    if (!deltaOf(event) || last.kind !== event.kind || last.runId !== event.runId) return false
    if (!('partId' in last && 'partId' in event && last.messageId === event.messageId && last.partId === event.partId))
      return false
    this.#event = event
    this.#count++
    this.#delta = (this.#delta + deltaOf(event)).slice(-4000)
    return true
  }

  render(): void {
    this.#merged.textContent = this.#count > 1 ? `×${this.#count}` : ''
    this.#preview.textContent = this.#delta ? this.#delta.slice(-160) : preview(this.#event)
    // most rows are never opened
    if (!this.#details.open) return this.#json.remove()
    this.#json.textContent = toJson(this.#count > 1 ? { ...this.#event, delta: this.#delta } : this.#event)
    this.#details.append(this.#json)
  }
}

const deltaOf = (event: AnyEvent) => ('delta' in event ? event.delta : '')

function preview({
  kind: _kind,
  seq: _seq,
  at: _at,
  sessionId: _session,
  runId: _run,
  agent: _agent,
  turn: _turn,
  ...payload
}: AnyEvent): string {
  if ('error' in payload && payload.error) return payload.error.message
  const values = Object.entries(payload).filter(
    ([name, value]) =>
      !name.endsWith('Id') && (typeof value === 'string' || typeof value === 'number' || value === true),
  )
  return values
    .map(([name, value]) => (value === true ? name : value))
    .join(' · ')
    .slice(0, 160)
}

/** The first word of a kind gives its colour. */
function familyOf(kind: string): string {
  if (kind === 'run-failed' || kind === 'run-released' || kind === 'notice') return 'problem'
  return kind.split('-')[0] ?? ''
}

function clock(at: number): string {
  const date = new Date(at)
  return `${date.toLocaleTimeString('en-GB')}.${String(date.getMilliseconds()).padStart(3, '0')}`
}
