import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { payloads } from '../server/stream-bytes.ts'
import { type Answer, answer, call, mcpCall, type Protocol, reasoning, say, text, webSearch } from '../server/turns.ts'

type Json = unknown

const recorded = (name: string): Json[] =>
  readFileSync(new URL(`../server/fixtures/${name}.jsonl`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

const made = (turn: Answer, protocol: Protocol): Json[] =>
  [...payloads(turn, protocol)].filter((payload) => payload !== '[DONE]')

/** What an event is called: its type and that of its item; for a chunk, what its delta holds. */
function nameOf(event: Json): string {
  const { type, item, choices } = event as {
    type?: string
    item?: { type: string }
    choices?: { delta: object; finish_reason: string | null }[]
  }
  if (type) return item ? `${type} ${item.type}` : type
  const choice = choices?.[0]
  return choice ? `${Object.keys(choice.delta)} ${choice.finish_reason}` : 'usage'
}

const order = (events: Json[]): string[] => {
  const names = events.map(nameOf)
  return names.filter((name, index) => name !== names[index - 1])
}

/** Every path of keys with the kind of value there; null and lists' lengths don't count. */
function shape(value: Json, path = ''): string[] {
  if (value === null) return []
  if (Array.isArray(value)) return value.flatMap((item) => shape(item, `${path}[]`))
  if (typeof value !== 'object') return [`${path}: ${typeof value}`]
  return Object.entries(value).flatMap(([key, field]) => [`${path}.${key}`, ...shape(field, `${path}.${key}`)])
}

function shapes(events: Json[]): Record<string, string[]> {
  const all = new Map<string, Set<string>>()
  for (const event of events) {
    const name = nameOf(event)
    const known = all.get(name) ?? new Set()
    for (const path of shape(event)) known.add(path)
    all.set(name, known)
  }
  return Object.fromEntries([...all].map(([name, paths]) => [name, [...paths].sort()]))
}

/** The settings of the run that a recording repeats, which say nothing of its events. */
const withoutSettings = (events: Json[]): Json[] =>
  JSON.parse(JSON.stringify(events), (key, value) => (key === 'reasoning' && 'effort' in value ? undefined : value))

const citation = { url: 'https://example.com/a', title: 'A', start: 0, end: 10 }
const failure = { message: 'You exceeded your current quota', type: 'insufficient_quota' }
const cases: [recording: string, protocol: Protocol, turn: Answer][] = [
  ['responses-text', 'responses', say('The final result is 570')],
  [
    'responses-reasoning-call',
    'responses',
    answer([reasoning(['I add the numbers'], { encrypted: true }), call('calculator', { a: 12, b: 7, op: 'add' })]),
  ],
  [
    'responses-sources',
    'responses',
    answer([
      reasoning(),
      webSearch('news', ['https://example.com/a']),
      text('I checked the news of today', [citation]),
    ]),
  ],
  [
    'responses-mcp',
    'responses',
    answer([
      reasoning(),
      mcpCall({ server: 'dmcp', name: 'search', arguments: '{"query":"x"}', output: '{"results":[]}' }),
      text('I searched'),
    ]),
  ],
  ['responses-error', 'responses', answer([], { error: failure })],
  ['chat-text', 'chat', say('Holiday Name: Day of Days')],
]

describe.each(cases)('a %s answer (%s)', (recording, protocol, turn) => {
  const wanted = withoutSettings(recorded(recording))
  const got = withoutSettings(made(turn, protocol))

  it('has the events of the recording in its order', () => {
    expect(order(got)).toEqual(order(wanted))
  })

  it('has events with the recorded keys and kinds of values', () => {
    expect(shapes(got)).toEqual(shapes(wanted))
  })
})

it('opens a tool call over chat with the recorded keys', () => {
  const opening = (events: Json[]) =>
    events
      .flatMap(
        (event) => (event as { choices: { delta: { tool_calls?: Json[] } }[] }).choices[0]?.delta.tool_calls ?? [],
      )
      .slice(0, 1)
      .flatMap((toolCall) => shape(toolCall))
      .sort()
  const got = opening(made(answer([call('weather', { location: 'San Francisco' })]), 'chat'))
  expect(got).toContain('.function.name: string')
  expect(got).toEqual(opening(recorded('xai-chat-call')))
})

it('counts the events of a Responses answer without a gap', () => {
  const events = made(answer([reasoning(['why']), text('so'), call('t', {})]), 'responses')
  expect(events.map((event) => (event as { sequence_number: number }).sequence_number)).toEqual([...events.keys()])
})
