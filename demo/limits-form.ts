import type { Limits } from 'turnloop'
import { byId, element } from './dom.ts'
import { asCost, asDuration, inFull } from './format.ts'
import { Gauge } from './gauge.ts'
import { isOver, type RunTotals } from './run-log.ts'
import { limits as agentLimits } from './tariff.ts'

type Name = 'maxTurns' | 'maxToolCalls' | 'maxTokens' | 'maxCost' | 'maxDuration'

interface Field {
  readonly name: Name
  readonly label: string
  /** What 1 in the field stands for. */
  readonly unit: number
  readonly step: string
  readonly show: (amount: number) => string
  readonly used: (run: RunTotals) => number | undefined
}

const fields: readonly Field[] = [
  { name: 'maxTurns', label: 'Turns', unit: 1, step: '1', show: inFull, used: ({ turns }) => turns },
  { name: 'maxToolCalls', label: 'Tool calls', unit: 1, step: '1', show: inFull, used: ({ toolCalls }) => toolCalls },
  {
    name: 'maxTokens',
    label: 'Tokens',
    unit: 1,
    step: '1',
    show: inFull,
    used: ({ usage }) => usage.inputTokens + usage.outputTokens,
  },
  { name: 'maxCost', label: 'Cost in $', unit: 1, step: 'any', show: asCost, used: ({ cost }) => cost },
  {
    name: 'maxDuration',
    label: 'Seconds',
    unit: 1000,
    step: '1',
    show: asDuration,
    used: ({ workedFor }) => workedFor,
  },
]

/** What the next messages may use up: each field a limit of the agent's, which it can only narrow. */
export class LimitsForm {
  readonly #inputs = new Map<Name, HTMLInputElement>()
  readonly #gauges = new Map<Name, Gauge>()
  readonly #sent = new Map<string, Limits>()
  readonly #changed: () => void

  constructor(changed: () => void) {
    this.#changed = changed
    const form = byId<HTMLFormElement>('limits')
    form.addEventListener('submit', (event) => event.preventDefault())
    form.addEventListener('input', () => this.#changed())
    form.addEventListener('reset', () => queueMicrotask(() => this.#changed()))
    byId('limit-fields').append(...fields.map((field) => this.#row(field)))
  }

  /** Those that are set. What is no number of its field is none. */
  get chosen(): Limits {
    const set = fields.flatMap(({ name, unit }) => {
      const input = this.#inputs.get(name)
      const value = input?.validity.valid ? input.valueAsNumber * unit : 0
      return value > 0 ? [[name, value] as const] : []
    })
    return Object.fromEntries(set)
  }

  /** Remembers what a run was sent with. */
  sent(runId: string, limits: Limits): void {
    this.#sent.set(runId, limits)
  }

  /** What a run has used of each: of its own limits where it is under way, else of those for the next one. */
  render(run: RunTotals | undefined): void {
    const { chosen } = this
    const own = run && !isOver(run) ? this.#sent.get(run.runId) : chosen
    const caps: Partial<Record<Name, number>> = { ...agentLimits, ...own }
    for (const field of fields) {
      this.#gauges.get(field.name)?.render(run && field.used(run), caps[field.name], field.show)
    }
    byId('limits-reset').hidden = Object.keys(chosen).length === 0
  }

  #row({ name, label, unit, step }: Field): HTMLElement {
    const most = (agentLimits as Partial<Record<Name, number>>)[name]
    const input = element('input', { type: 'number', inputMode: 'decimal', autocomplete: 'off', step })
    input.min = step === 'any' ? '0' : '1'
    if (most !== undefined) {
      input.max = String(most / unit)
      input.placeholder = String(most / unit)
    } else input.placeholder = 'none'
    const gauge = new Gauge(label)
    this.#inputs.set(name, input)
    this.#gauges.set(name, gauge)
    return element('div', { className: 'limit' }, element('label', {}, label, input), gauge.element)
  }
}
