import { AgentError } from '../errors.ts'
import { mayExplode } from '../tools/backtracking.ts'
import type { Middleware } from './middleware.ts'

export interface RedactOptions {
  /** A string stands for itself, every time it comes; a `RegExp` for all that it matches. */
  readonly patterns?: readonly (RegExp | string)[]
  /** E-mail addresses, numbers of payment cards, keys and tokens as they are commonly written. */
  readonly kinds?: readonly RedactKind[]
  /** What takes their place. `[redacted]` by default. */
  readonly replacement?: string
  /** The middleware's. `redact` by default. */
  readonly name?: string
}
export type RedactKind = 'email' | 'card' | 'key'

const kindPatterns: Readonly<Record<RedactKind, RegExp>> = {
  email: /[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}/g,
  card: /\b\d(?:[ -]?\d){12,18}\b/g,
  key: /\b(?:[sprx]k|gsk|xai|gh[opsu]|github_pat|glpat|xox[abprs])[-_][\w-]{8,}|\bA(?:KIA|Iza)[\w-]{12,}|\beyJ[\w-]{8,500}(?:\.[\w-]+){1,2}|\bBearer\s+[\w.~+/-]{8,}=*/g,
}

/**
 * Middleware that takes what matches out of all that is stored and of all that a model is sent: inputs, prompts, answers (also
 * while they are written), outputs of tools, errors, summaries. Numbers in JSON stay, the inputs of calls as far as the tools
 * get them, and what tools keep with `setState`. Listeners hear an answer as it is written.
 *
 * What a stop leaves of an answer may end within a match. Throws `invalid-argument` for patterns that match nothing in
 * particular, or can take exponential time.
 */
export function redact({
  patterns = [],
  kinds = [],
  replacement = '[redacted]',
  name = 'redact',
}: RedactOptions): Middleware {
  const refuse = (problem: string) => new AgentError('invalid-argument', `redact: ${problem}.`)
  if (!Array.isArray(patterns) || !Array.isArray(kinds) || patterns.length + kinds.length === 0)
    throw refuse('give `patterns`, a list of strings and regular expressions, or `kinds`')
  if (typeof replacement !== 'string') throw refuse('replacement must be a string')
  const unknown = kinds.find((kind) => !Object.hasOwn(kindPatterns, kind))
  if (unknown !== undefined) throw refuse(`kinds are ${Object.keys(kindPatterns).join(', ')}`)
  const replacers = patterns.map((pattern: unknown) => {
    if (typeof pattern !== 'string' && !(pattern instanceof RegExp)) throw refuse('a pattern is a string or a RegExp')
    const all =
      typeof pattern === 'string' ? pattern : new RegExp(pattern.source, `${pattern.flags.replace(/[gy]/g, '')}g`)
    if (typeof pattern !== 'string' && mayExplode(pattern.source))
      throw refuse(`the pattern "${pattern}" can take exponential time: no repetition inside of one`)
    if (''.replaceAll(all, 'x') !== '') throw refuse(`the pattern "${pattern}" matches nothing in particular`)
    return (text: string) => text.replaceAll(all, () => replacement)
  })
  for (const kind of kinds as readonly RedactKind[])
    replacers.push((text) =>
      text.replace(kindPatterns[kind], (found) => (kind === 'card' && !isCard(found) ? found : replacement)),
    )
  return { name, onText: (text) => replacers.reduce((rest, replace) => replace(rest), text) }
}

/** Luhn: of any other numbers of that length, nine of ten are none. */
const isCard = (text: string) =>
  [...text.replace(/\D/g, '')].reverse().reduce((sum, digit, at) => sum + luhn(Number(digit), at), 0) % 10 === 0

const luhn = (digit: number, at: number) => (at % 2 === 0 ? digit : digit * 2 - (digit > 4 ? 9 : 0))
