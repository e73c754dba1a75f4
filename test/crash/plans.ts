/**
 * The conversations that the scripted model leads: plain data that the world, the player and the checks agree on. What
 * the model says next follows from the prompt alone, so that a call that died is answered the same again.
 */

export type ToolName = 'pay' | 'lookup' | 'slow' | 'mark' | 'form' | 'ponder' | 'count' | 'buy' | 'agent_run'

/** Tools that must never start twice by themselves. */
export const unrepeatable: ReadonlySet<string> = new Set<ToolName>(['pay', 'slow', 'mark', 'buy'])

/** Each entry is one turn with its calls; a final turn of text follows. */
const turns = {
  text: [],
  pay: [['pay']],
  lookup: [['lookup']],
  slow: [['slow']],
  mark: [['mark']],
  form: [['form']],
  pair: [['lookup', 'pay']],
  mixed: [['lookup', 'pay'], ['mark'], ['slow', 'lookup']],
  long: [['pay'], ['lookup'], ['pay'], ['lookup']],
  loop: [['ponder'], ['ponder'], ['ponder']],
  count: [['count'], ['count', 'count']],
  buy: [['buy']],
  twice: [['buy'], ['buy']],
  both: [['lookup', 'buy'], ['buy']],
  helped: [['agent_run', 'lookup'], ['pay']],
  aside: [['agent_run'], ['lookup']],
  deep: [['agent_run', 'agent_run']],
} as const satisfies Record<string, readonly (readonly ToolName[])[]>

export type PlanName = keyof typeof turns

/** What a user's message says: which session and input it is, and which plan its run follows. */
export interface Order {
  readonly session: string
  readonly input: number
  readonly plan: PlanName
}

export const inputOf = ({ session, input, plan }: Order) => `${session}/${input} ${plan}: please carry this out.`

export function orderOf(text: string): Order | undefined {
  const [, session, input, plan] = /^(\S+)\/(\d+) ([a-z]+): /.exec(text) ?? []
  if (session === undefined || !isPlan(plan)) return undefined
  return { session, input: Number(input), plan }
}

/** Inputs from here on are those of delegated runs. */
const firstOfChildren = 100

export const isOfChild = ({ input }: Order) => input >= firstOfChildren

/** What a call of a plan gives to another agent, and to which: one that pays, in the plan `deep` through one more. */
export function delegated({ session, input, plan }: Order, turn: number, index: number) {
  const child: Order = {
    session,
    input: firstOfChildren * input + 10 * turn + index,
    plan: plan === 'deep' ? 'helped' : 'pair',
  }
  return {
    child,
    input: {
      agent: plan === 'deep' ? 'leading' : 'auto',
      prompt: inputOf(child),
      ...(plan === 'aside' && { background: true }),
    },
  }
}

/** What is said to a run that is under way: it names no plan, so that its run goes on with its own. */
export const steerOf = (session: string, number: number) => `${session}!${number}: keep this in mind.`

/** Which steering a user's message is. */
export function steerIn(text: string): number | undefined {
  const [, number] = /^\S+!(\d+): /.exec(text) ?? []
  return number === undefined ? undefined : Number(number)
}

const isPlan = (name: string | undefined): name is PlanName => name !== undefined && Object.hasOwn(turns, name)

export const turnsOf = (plan: PlanName): readonly (readonly ToolName[])[] => turns[plan]

export const callCount = (plan: PlanName) => turns[plan].reduce((sum, calls) => sum + calls.length, 0)

/** What the model writes in a turn, counted from 0; the one after the last turn with calls is the final answer. */
export function textOf({ session, input, plan }: Order, turn: number): string {
  if (turn < turns[plan].length) return `Step ${turn} of ${session}/${input}: on it.`
  const words = 'one two three four five six seven eight nine ten'
  // Long enough to be kept as a draft while it is written.
  return `Done with ${session}/${input}: ${words}${plan === 'text' ? ` ${words} ${words} ${words}` : ''}.`
}

/** Names one call of the plan, whatever id the model gave it: its input. Of a loop all are the same. */
export const callName = ({ session, input, plan }: Order, turn: number, index: number) =>
  plan === 'loop' ? `${session}/${input}` : `${session}/${input}/${turn}/${index}`

/** Another input in the place of a call's own, as a person edits it. */
export const editedName = (name: string) => `${name}/edited`
export const isEdited = (name: string) => name.endsWith('/edited')

/** What the tools of a plan have put into the session's state before a turn, as the model is told it. */
export const stateOf = (order: Order, turn: number) =>
  counted(
    turnsOf(order.plan)
      .slice(0, turn)
      .flatMap((calls, at) => calls.map((_, index) => callName(order, at, index))),
  )

export const counted = (names: readonly string[]) => `Counted: ${names.join(', ')}.`

/** Which turn follows after so many results; undefined where no turn ends there. */
export function turnAfter(plan: PlanName, results: number): number | undefined {
  let sum = 0
  for (const [turn, calls] of turns[plan].entries()) {
    if (sum === results) return turn
    sum += calls.length
  }
  return sum === results ? turns[plan].length : undefined
}
