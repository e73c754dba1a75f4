import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { mayExplode } from '../../src/tools/backtracking.ts'

describe('a pattern is dangerous', () => {
  test.each([
    '(a+)+$',
    '(a*)*',
    '(a|a)*$',
    '(a|aa)+',
    '^(\\w+\\s?)*$',
    '([a-z]+)*',
    '(\\d+,?)+',
    '(.|\\s)*',
    '(x+x+)+y',
    '(a{1,20})+',
    '(?=(a+)+$)b',
    '(.*a){12}',
    '(?:[^x]+|é)*',
  ])('where one text fits it in ever more ways: %s', (pattern) => {
    expect(mayExplode(pattern)).toBe(true)
  })

  test('where it is too long to be looked at', () => {
    expect(mayExplode('a'.repeat(1001))).toBe(true)
    expect(mayExplode(`(${'a|'.repeat(400)}b)*`)).toBe(true)
    expect(mayExplode('a*'.repeat(490))).toBe(true)
  })
})

describe('a pattern is harmless', () => {
  test.each([
    '^[a-z]+(-[a-z]+)*$',
    '^(\\d+,)*\\d+$',
    '([^"\\\\]|\\\\.)*',
    '(.|\\n)*',
    '(foo|bar)*',
    '^((a|b)c)+$',
    '\\p{L}+(\\s\\p{L}+)*',
    '(世|界)+',
    'a{2,}b{3,40}',
    '(?<year>\\d{4})-\\k<year>',
    '[',
  ])('where each text fits it in one way, or no engine takes it: %s', (pattern) => {
    expect(mayExplode(pattern)).toBe(false)
  })

  test('where a library of schemas brings it', () => {
    const formats = {
      email: z.email(),
      uuid: z.uuid(),
      datetime: z.iso.datetime(),
      duration: z.iso.duration(),
      ipv6: z.ipv6(),
      cidr: z.cidrv6(),
      base64: z.base64(),
      hostname: z.hostname(),
      emoji: z.emoji(),
      e164: z.e164(),
      part: z.string().includes('a.b').startsWith('x'),
      template: z.templateLiteral(['a', z.number(), '-', z.string()]),
    }
    for (const [format, schema] of Object.entries(formats)) {
      const { pattern, allOf = [] } = z.toJSONSchema(schema) as { pattern?: string; allOf?: { pattern: string }[] }
      for (const one of [pattern, ...allOf.map((part) => part.pattern)])
        if (one !== undefined) expect(mayExplode(one), format).toBe(false)
    }
  })
})
