import { element, icon, toJson } from './dom.ts'

/** What a card shows of a message's tool part. */
interface ToolCall {
  readonly name: string
  readonly state: 'input-streaming' | 'input-available' | 'output-available' | 'output-error'
  readonly input?: unknown
  readonly rawInput?: string
  readonly output?: unknown
  readonly preliminary?: boolean
  readonly errorText?: string
}

/** How far the message is in which the call stands: a call that a dead or stopped run left open isn't running. */
export type Surroundings = 'live' | 'waiting-for-page' | 'with-helper' | 'asked' | 'in-doubt' | 'over'

/** A tool call: one line, and its input and output behind it. */
export class ToolCard {
  readonly element: HTMLDetailsElement
  readonly #mark = element('span', { className: 'mark' })
  readonly #name = element('code', { className: 'name' })
  readonly #preview = element('span', { className: 'preview' })
  readonly #state = element('span', { className: 'state' })
  readonly #input = element('pre', { tabIndex: 0 })
  readonly #output = element('pre', { tabIndex: 0 })
  readonly #outputLabel = element('h4', {}, 'Output')
  #call: ToolCall | undefined
  #opened = false

  constructor() {
    const summary = element('summary', {}, this.#mark, this.#name, this.#preview, this.#state, icon('chevron'))
    this.element = element(
      'details',
      { className: 'tool' },
      summary,
      element('div', { className: 'values' }, element('h4', {}, 'Input'), this.#input, this.#outputLabel, this.#output),
    )
    // A click comes before the card opens, `toggle` after: in between it would be seen empty.
    for (const [target, event] of [
      [summary, 'click'],
      [this.element, 'toggle'],
    ] as const) {
      target.addEventListener(event, () => {
        this.#opened = true
        this.#showValues()
      })
    }
  }

  update(call: ToolCall, surroundings: Surroundings): void {
    const [look, words] = stateOf(call, surroundings)
    if (this.element.dataset.look !== look) {
      this.element.dataset.look = look
      this.#mark.replaceChildren(...(look === 'done' ? [icon('check')] : look === 'failed' ? [icon('cross')] : []))
    }
    write(this.#name, call.name)
    write(this.#state, words)
    write(this.#preview, call.rawInput ?? oneLine(call.input))
    this.#call = call
    this.#showValues()
  }

  /** Input and output are written once somebody opens the card: a result may be long. */
  #showValues(): void {
    const call = this.#call
    if (!call || !this.#opened) return
    write(this.#input, call.rawInput ?? toJson(call.input))
    const hasResult = call.state === 'output-available' || call.state === 'output-error'
    this.#outputLabel.hidden = this.#output.hidden = !hasResult
    write(this.#outputLabel, call.state === 'output-error' ? 'Error' : 'Output')
    if (hasResult) write(this.#output, call.state === 'output-error' ? (call.errorText ?? '') : toJson(call.output))
  }
}

/** What stands in place of a result where somebody, or nobody in time, or a rule said no. */
const refused = /^(?:The user refused|Nobody allowed|This call was not allowed)/

function stateOf(call: ToolCall, surroundings: Surroundings): [look: string, words: string] {
  switch (call.state) {
    case 'output-available':
      return call.preliminary ? ['running', oneLine(call.output) || 'Running'] : ['done', 'Done']
    case 'output-error':
      return ['failed', refused.test(call.errorText ?? '') ? 'Denied' : 'Failed']
    default:
      if (surroundings === 'over') return ['open', 'Not finished']
      if (surroundings === 'asked') return ['open', 'Waits for your answer']
      if (surroundings === 'in-doubt') return ['open', 'Cut off']
      if (surroundings === 'with-helper') return ['running', 'With a helper']
      if (surroundings === 'waiting-for-page') return ['running', 'Waiting for a page']
      return ['running', call.state === 'input-streaming' ? 'Preparing' : 'Running']
  }
}

/** Few characters of an object's values, for the card's one line. */
function oneLine(input: unknown): string {
  if (typeof input !== 'object' || input === null) return input === undefined ? '' : String(input)
  const values = Object.values(input).map((value) => (typeof value === 'string' ? value : JSON.stringify(value)))
  return values.join(', ').slice(0, 200)
}

function write(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text
}
