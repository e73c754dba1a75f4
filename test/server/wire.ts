import type { Answer, TokenCounts } from './turns.ts'

/** Whole seconds; fixed, so that a turn's bytes are always the same. */
export const createdAt = 1_765_552_659
export const modelName = 'gpt-5-mini-2025-08-07'

/** One `data:` payload before it is written; the string is Chat Completions' last one. */
export type Payload = Record<string, unknown> | '[DONE]'

/** Makes ids that look like OpenAI's: the same for the same seed, of one length for any seed. */
export function createIds(seed: string) {
  return (prefix: string, number: number, length = 48): string => {
    let id = ''
    for (let salt = 0; id.length < length; salt++) id += hash(`${prefix}:${number}:${seed}:${salt}`)
    return `${prefix}${id.slice(0, length)}`
  }
}

export type Ids = ReturnType<typeof createIds>

/** The opaque content of a reasoning item. */
export const encryptedContent = (ids: Ids, number: number): string => `gAAAAAB${ids('', number, 120)}`

/** Filler that OpenAI adds to deltas, so that their length tells an eavesdropper nothing. */
export const obfuscation = (delta: string): string => 'x'.repeat(Math.max(0, 16 - (delta.length % 16)))

/** Tokens of an answer: 20 in, one per delta out, unless the turn says otherwise. */
export function tokensOf(answer: Answer): TokenCounts | undefined {
  if (answer.usage === null) return undefined
  const count = (deltas: string[][]) => deltas.reduce((sum, list) => sum + list.length, 0)
  const reasoning = count(answer.parts.flatMap((part) => (part.type === 'reasoning' ? part.summary : [])))
  const visible = count(answer.parts.map((part) => ('deltas' in part ? part.deltas : [])))
  return { input: 20, cached: 0, output: reasoning + visible, reasoning, ...answer.usage }
}

// FNV-1a twice, with different offsets; ids need spread, not secrecy.
function hash(value: string): string {
  let low = 0x811c9dc5
  let high = 0x01000193
  for (let index = 0; index < value.length; index++) {
    low = Math.imul(low ^ value.charCodeAt(index), 0x01000193)
    high = Math.imul(high ^ value.charCodeAt(index), 0x85ebca6b)
  }
  const mix = (part: number) => {
    const mixed = Math.imul(part ^ (part >>> 15), 0xc2b2ae35)
    return ((mixed ^ (mixed >>> 13)) >>> 0).toString(16).padStart(8, '0')
  }
  return mix(low) + mix(high)
}
