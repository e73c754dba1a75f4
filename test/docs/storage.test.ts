import { describe, expect, it } from 'vitest'
import document from '../../docs/storage.md?raw'
import { keys } from '../../src/sessions/keys.ts'
import { codeWords, tableRows } from './markdown.ts'

describe('docs/storage.md', () => {
  it('tells of every kind of key', () => {
    const told = tableRows(document).flatMap(([cell]) => /^`\['(\w+)'/.exec(cell ?? '')?.[1] ?? [])
    const real = Object.values(keys).map((key) => {
      const made = typeof key === 'function' ? (key as (...args: unknown[]) => readonly unknown[])({}, {}) : key
      return made[0]
    })
    expect(told).toEqual([...new Set(told)])
    expect(new Set(told)).toEqual(new Set(real))
  })

  it('names the codes of the store', () => {
    const codes = tableRows(document).flatMap(([cell]) =>
      codeWords(cell).filter((word) => /^(storage|ownership)-/.test(word)),
    )
    expect(codes).toEqual(['storage-unavailable', 'storage-full', 'storage-lost', 'storage-outdated', 'ownership-lost'])
  })
})
