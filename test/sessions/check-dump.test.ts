import { expect, test } from 'vitest'
import { problemsIn } from './check-dump.ts'
import type { Dump } from './golden/dump.ts'
import version1 from './golden/fixtures/version-1.json'

const golden = version1 as unknown as Dump

test('a database that nothing happened to has no problems', () => {
  expect(problemsIn(golden)).toEqual([])
})

test('a step that lacks any of its records is a problem', () => {
  const kept = new Set(['meta', 'owner', 'settings', 'inbox', 'deleted'])
  const ofSessions = golden.entries.filter(([key]) => !kept.has(String(key[0])) && !/half deleted/.test(String(key[1])))
  expect(ofSessions.length).toBeGreaterThan(100)
  for (const missing of ofSessions) {
    const entries = golden.entries.filter((entry) => entry !== missing)
    expect(problemsIn({ ...golden, entries }), `without ${missing[0]}`).not.toEqual([])
  }
})
