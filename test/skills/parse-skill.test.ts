import { tool } from 'turnloop/runtime'
import { defineSkill, parseSkill } from 'turnloop/skills'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'

const text = `---
name: pdf-processing
description: >
  Extracts text from PDF files.
  Use it for forms.
license: Apache-2.0
compatibility: Needs a viewer
metadata:
  author: example-org
  version: 1.0
allowed-tools: read_page  fill-form
unknown: [ignored]
---

# PDF

---
Read the pages.
`

describe('a SKILL.md', () => {
  test('is read with all fields that the format knows', () => {
    const read_page = tool({ inputSchema: z.object({}), execute: () => 1 })
    expect(parseSkill(text, { tools: { read_page } })).toEqual({
      name: 'pdf-processing',
      description: 'Extracts text from PDF files. Use it for forms.\n',
      license: 'Apache-2.0',
      compatibility: 'Needs a viewer',
      metadata: { author: 'example-org', version: '1.0' },
      allowedTools: ['read_page', 'fill-form'],
      instructions: '# PDF\n\n---\nRead the pages.',
      tools: { read_page },
    })
  })

  test('needs a name and a description only, whatever its line ends', () => {
    const windows = '\uFEFF---\r\nname: a\r\ndescription: "b: c"\r\n---\r\nDo it.\r\n'
    expect(parseSkill(windows)).toEqual({ name: 'a', description: 'b: c', instructions: 'Do it.' })
  })

  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...'bcdefgh'.split('').map((name, at) => {
      const before = 'abcdefg'[at]
      return `${name}: &${name} [${Array(9).fill(`*${before}`).join()}]`
    }),
  ].join('\n')

  test.each([
    ['no text', 7, 'pass the text'],
    ['no front matter', '# Just Markdown', 'front matter'],
    ['front matter without an end', '---\nname: a\n', 'front matter'],
    ['no YAML', '---\nname: [a\n---\nx', 'no YAML'],
    ['the same field twice', '---\nname: a\nname: b\ndescription: c\n---\nx', 'no YAML'],
    ['a tag', '---\nname: !!js/function "a"\ndescription: b\n---\nx', 'no YAML'],
    ['a bomb of aliases', `---\n${bomb}\nname: a\ndescription: b\n---\nx`, 'no YAML'],
    ['a list', '---\n- a\n---\nx', 'must be fields'],
    ['nothing', '---\n\n---\nx', 'must be fields'],
    ['no name', '---\ndescription: b\n---\nx', 'name'],
    ['a bad name', '---\nname: Bad--Name\ndescription: b\n---\nx', 'name'],
    ['a name that is no text', '---\nname: [a]\ndescription: b\n---\nx', 'name'],
    ['no description', '---\nname: a\n---\nx', 'description'],
    ['a long description', `---\nname: a\ndescription: ${'b'.repeat(1025)}\n---\nx`, 'description'],
    ['no instructions', '---\nname: a\ndescription: b\n---\n \n', 'instructions'],
    ['long instructions', `---\nname: a\ndescription: b\n---\n${'x'.repeat(50_001)}`, 'instructions'],
    [
      'a long compatibility',
      `---\nname: a\ndescription: b\ncompatibility: ${'c'.repeat(501)}\n---\nx`,
      'compatibility',
    ],
    ['metadata that is no map', '---\nname: a\ndescription: b\nmetadata: [c]\n---\nx', 'metadata'],
    ['nested metadata', '---\nname: a\ndescription: b\nmetadata: { c: { d: e } }\n---\nx', 'metadata'],
    ['a list of allowed tools', '---\nname: a\ndescription: b\nallowed-tools: [c]\n---\nx', 'allowed-tools'],
    ['too long a text', 'x'.repeat(200_001), 'at most'],
    ['too long a front matter', `---\nname: a\ndescription: b\n#${'x'.repeat(20_000)}\n---\nx`, 'front matter'],
    ['deep nesting', `---\nmetadata: ${'['.repeat(19_000)}\n---\nx`, 'no YAML'],
  ])('with %s is refused', (_, given, message) => {
    expect(() => parseSkill(given as string)).toThrow(
      expect.objectContaining({ code: 'invalid-argument', message: expect.stringContaining(message) }),
    )
  })

  test('can’t name a prototype', () => {
    const given = '---\n__proto__: { name: a }\nname: b\ndescription: c\nmetadata: { __proto__: d }\n---\nx'
    try {
      expect(parseSkill(given)).toMatchObject({ name: 'b' })
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid-argument' })
    }
    expect(({} as { name?: string }).name).toBeUndefined()
  })
})

test('a skill that is written in code is checked in the same way', () => {
  const skill = { name: 'a', description: 'b', instructions: 'c' }
  expect(defineSkill(skill)).toBe(skill)
  for (const bad of [{ ...skill, name: 'A' }, { ...skill, description: ' ' }, { ...skill, tools: [] }, undefined])
    expect(() => defineSkill(bad as never)).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
})
