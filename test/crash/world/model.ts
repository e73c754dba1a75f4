import type { IncomingMessage, ServerResponse } from 'node:http'
import { checkPrompt, type StoredItem, storedItems } from '../../server/check-prompt.ts'
import { serveTurn } from '../../server/serve-turn.ts'
import { payloads } from '../../server/stream-bytes.ts'
import { answer, call, text } from '../../server/turns.ts'
import { policyAnswers } from '../check-approvals.ts'
import {
  callName,
  delegated,
  isOfChild,
  type Order,
  orderOf,
  stateOf,
  steerIn,
  textOf,
  turnAfter,
  turnsOf,
} from '../plans.ts'
import type { Ledger } from './ledger.ts'
import type { World } from './world.ts'

interface Item {
  readonly type?: string
  readonly role?: string
  readonly content?: unknown
  readonly call_id?: string
  readonly output?: unknown
}

/**
 * The model: reads from the prompt what has been done, and answers with the plan's next turn. A prompt that OpenAI would
 * refuse, or that lacks something of the session, is a problem of the session.
 */
export class Model {
  readonly #stored = new Map<string, StoredItem>()
  readonly #world: World
  #served = 0

  constructor(world: World) {
    this.#world = world
  }

  async answer(request: IncomingMessage, response: ServerResponse, body: string): Promise<void> {
    const prompt = JSON.parse(body) as { model: string; input: Item[] }
    const users = userTexts(prompt.input)
    // What steers the run, or asks for the rest of a cut answer, comes after it.
    const order = users.map(orderOf).findLast((found) => found !== undefined)
    const refuse = (message: string) => {
      if (order) this.#world.ledger(order.session).problems.push(`prompt refused: ${message}`)
      response.writeHead(400, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ error: { message, type: 'invalid_request_error', param: null, code: null } }))
    }
    if (!order) return refuse(`no input of the prompt names a plan: ${users.at(-1)}`)
    const ledger = this.#world.ledger(order.session)
    ledger.modelCalls++
    const bad = checkPrompt('responses', prompt, this.#stored)
    if (bad) return refuse(bad.message)
    // One that is delegated knows nothing of what was said before.
    if (!isOfChild(order))
      for (const problem of lacksOf(ledger, order, users, body)) ledger.problems.push(`prompt: ${problem}`)
    const outputs = outputsAfterLastInput(prompt.input)
    for (const problem of untoldOf(ledger, outputs)) ledger.problems.push(`prompt: ${problem}`)
    const turn = turnAfter(order.plan, outputs.length)
    if (turn === undefined) return refuse(`${outputs.length} results end no turn of the plan "${order.plan}"`)
    if (order.plan === 'count' && !body.includes(stateOf(order, turn)))
      ledger.problems.push(`prompt: the state before turn ${turn} is not "${stateOf(order, turn)}"`)

    const gone = new AbortController()
    response.on('close', () => {
      gone.abort()
      this.#world.changed()
    })
    await this.#passGate(ledger, turn, gone.signal)

    if (fails(ledger, order, turn, prompt.model)) {
      const refusal = ledger.fails === 'network' ? { 'x-no-network': 'true' } : undefined
      response.writeHead(500, { 'content-type': 'application/json', ...refusal })
      return void response.end(JSON.stringify({ error: { message: 'Out of order', type: 'server_error' } }))
    }

    const seed = `${order.session}:${order.input}:${turn}:${this.#served++}`
    const scripted = answer(
      [
        text(textOf(order, turn)),
        ...(turnsOf(order.plan)[turn] ?? []).map((tool, index) => {
          const input = JSON.stringify(
            tool === 'agent_run' ? delegated(order, turn, index).input : { name: callName(order, turn, index) },
          )
          return call(tool, input, { deltas: [input] })
        }),
      ],
      { pace: order.plan === 'text' ? 8 : 1 },
    )
    await serveTurn(scripted, {
      response,
      protocol: 'responses',
      seed,
      cap: 30_000,
      gone: gone.signal,
      authorization: request.headers.authorization,
      hold: () => Promise.resolve(),
      ended: (how) => {
        if (how !== 'answered') return
        for (const [id, item] of storedItems([...payloads(scripted, 'responses', seed)].at(-1))) {
          this.#stored.set(id, item)
        }
      },
    })
  }

  /** Holds the answer back until the word was said that is to be said before it. */
  async #passGate({ gate }: Ledger, turn: number, gone: AbortSignal) {
    if (gate?.turn !== turn || gate.open) return
    gate.reached = true
    this.#world.changed()
    await this.#world.until(() => gate.open || gone.aborted, 20_000)
  }
}

/** Whether the endpoint has a fault just now. */
function fails({ fails, failed }: Ledger, { input }: Order, turn: number, model: string): boolean {
  if (fails === 'first-model') return model === 'gpt-5-mini'
  const name = `${input}/${turn}`
  if (fails === undefined || failed.has(name) || (fails === 'network' && turn > 0)) return false
  failed.add(name)
  return true
}

/** What an earlier fact demands of the prompt, and is not there. */
function* lacksOf(ledger: Ledger, order: Order, users: readonly string[], body: string) {
  const inputs = users.flatMap((user) => orderOf(user)?.input ?? [])
  const steers = users.flatMap((user) => steerIn(user) ?? [])
  if (new Set(steers).size !== steers.length) yield `a steering stands twice: ${steers.join(', ')}`
  if (new Set(inputs).size !== inputs.length) yield `an input stands twice: ${inputs.join(', ')}`
  for (const input of ledger.hidden) {
    if (body.includes(`${ledger.session}/${input} `)) yield `input ${input} is hidden, and was told to the model`
  }
  for (const event of ledger.heard.values()) {
    if (event.kind !== 'user-message-committed') continue
    const text = messageText(event.message)
    const steer = steerIn(text)
    if (steer !== undefined && !steers.includes(steer))
      yield `steering ${steer} was saved, and is missing in a later call`
    const input = orderOf(text)?.input
    if (input === undefined || ledger.hidden.has(input)) continue
    // In its own message, or in a summary.
    if (!inputs.includes(input) && !body.includes(text)) {
      yield `input ${input} was saved, and is missing in the call for input ${order.input}`
    }
  }
}

/** What became of a call by a person's word, and the model is not told. */
function* untoldOf(ledger: Ledger, outputs: readonly Item[]) {
  const answers = policyAnswers([...ledger.heard.values()].sort((a, b) => a.seq - b.seq))
  for (const { call_id = '', output } of outputs) {
    const { decision, input } = answers.get(call_id) ?? {}
    const told = JSON.stringify(output)
    if (decision === 'deny' && !told.includes('The user refused this call: Not today'))
      yield `the call ${call_id} was refused, and its result is ${told}`
    if (input !== undefined && !told.includes('The user changed the input of this call'))
      yield `the input of the call ${call_id} was changed, and its result is ${told}`
  }
}

function userTexts(input: readonly Item[]): string[] {
  return input.filter(({ role }) => role === 'user').map(({ content }) => contentText(content))
}

function contentText(content: unknown): string {
  if (typeof content === 'string') return content
  return (content as readonly { text?: string }[]).map(({ text }) => text ?? '').join('')
}

function outputsAfterLastInput(input: readonly Item[]): Item[] {
  const last = input.findLastIndex(({ role, content }) => role === 'user' && orderOf(contentText(content)))
  return input.slice(last).filter(({ type }) => type === 'function_call_output')
}

/** The text of a message as the page has it. */
export function messageText(message: unknown): string {
  const { parts = [] } = (message ?? {}) as { parts?: readonly { type: string; text?: string }[] }
  return parts
    .filter(({ type }) => type === 'text')
    .map(({ text }) => text ?? '')
    .join('')
}
