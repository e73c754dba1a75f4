import { AgentError } from '../errors.ts'
import { isRecord } from '../is-object.ts'

// What comes from outside is looked at whole before any of it is kept. A check throws `invalid-document`, saying where.

export type Check = (value: unknown, at: string) => void
/** A check for every field of a type: a new field of a record is not forgotten here. */
export type Fields<T> = { readonly [K in keyof Required<T>]: Check }

export const invalid = (problem: string) => new AgentError('invalid-document', `This is no session: ${problem}.`)

const must =
  (what: string, holds: (value: unknown) => boolean): Check =>
  (value, at) => {
    if (!holds(value)) throw invalid(`${at} must be ${what}`)
  }

export const anything = must('there', (value) => value !== undefined)
export const object = must('an object', isRecord)
export const flag = must('true', (value) => value === true)
export const boolean = must('true or false', (value) => typeof value === 'boolean')
export const amount = must('a number of 0 or more', (value) => Number.isFinite(value) && (value as number) >= 0)
export const count = must('a whole number', (value) => Number.isSafeInteger(value) && (value as number) >= 0)
export const text = must('a string', (value) => typeof value === 'string')
/** Names and ids. */
export const name = must(
  'a string of 1 to 10,000 characters',
  (value) => typeof value === 'string' && value !== '' && value.length <= 10_000,
)
export const is = (...values: readonly unknown[]) => must(values.join(' or '), (value) => values.includes(value))

/** What a page may link to. */
export const link = must(
  'no code',
  (value) => typeof value === 'string' && !(URL.canParse(value) && new URL(value).protocol === 'javascript:'),
)
export const url: Check = (value, at) => {
  link(value, at)
  if (!URL.canParse(value as string)) throw invalid(`${at} must be a URL`)
}

/** May be missing. */
export const maybe =
  (check: Check): Check =>
  (value, at) => {
    if (value !== undefined) check(value, at)
  }

export const list =
  (check: Check, most: number): Check =>
  (value, at) => {
    if (!Array.isArray(value)) throw invalid(`${at} must be a list`)
    if (value.length > most) throw invalid(`${at} has over ${most} entries`)
    for (const [i, item] of value.entries()) check(item, `${at}[${i}]`)
  }

/** These fields and no other. */
export const shape =
  <T>(fields: Fields<T>): Check =>
  (value, at) => {
    object(value, at)
    for (const key of Object.keys(value as object))
      if (!Object.hasOwn(fields, key)) throw invalid(`${at} has an unknown field ${JSON.stringify(key.slice(0, 100))}`)
    for (const [key, check] of Object.entries<Check>(fields))
      check((value as Readonly<Record<string, unknown>>)[key], `${at}.${key}`)
  }

/** One of several shapes, told apart by a field. */
export const oneOf =
  (field: string, shapes: Readonly<Record<string, Check>>): Check =>
  (value, at) => {
    object(value, at)
    const kind = (value as Readonly<Record<string, unknown>>)[field]
    const check = typeof kind === 'string' && Object.hasOwn(shapes, kind) ? shapes[kind] : undefined
    if (!check) throw invalid(`${at}.${field} must be one of ${Object.keys(shapes).join(', ')}`)
    check(value, at)
  }

/** Nothing nested deeper than that, and no key that a careless copy would take for a prototype. */
export function checkNesting(root: unknown, deepest: number) {
  let level: unknown[] = [root]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > deepest) throw invalid(`it is nested over ${deepest} deep`)
    const next: unknown[] = []
    for (const value of level) {
      if (typeof value !== 'object' || value === null) continue
      if (Object.hasOwn(value, '__proto__')) throw invalid('the key "__proto__" is not allowed')
      for (const item of Object.values(value)) if (typeof item === 'object') next.push(item)
    }
    level = next
  }
}
