import type { LanguageModelV4CallOptions, LanguageModelV4Prompt, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { describe, expect, test } from 'vitest'
import { calculate } from '../../demo/calculate.ts'
import { intentsOf } from '../../demo/offline-intents.ts'
import { offlineModel } from '../../demo/offline-model.ts'

const toolNames = ['calculate', 'current_time', 'add_todo', 'list_todos', 'complete_todo', 'set_page_colors']
const tools = toolNames.map((name) => ({ type: 'function' as const, name, inputSchema: {} }))
const said = (text: string): LanguageModelV4Prompt => [{ role: 'user', content: [{ type: 'text', text }] }]

async function partsOf(options: LanguageModelV4CallOptions): Promise<LanguageModelV4StreamPart[]> {
  const { stream } = await offlineModel({ pace: 0 }).doStream(options)
  const parts: LanguageModelV4StreamPart[] = []
  for await (const part of stream) parts.push(part)
  return parts
}

describe('the offline model', () => {
  test('streams a call in parts that add up, and ends with usage', async () => {
    const parts = await partsOf({ prompt: said('What is 123 * 456?'), tools })
    const call = parts.find((part) => part.type === 'tool-call')
    expect(call).toMatchObject({ toolName: 'calculate', input: '{"expression":"123 * 456"}' })
    expect(parts.map((part) => (part.type === 'tool-input-delta' ? part.delta : '')).join('')).toBe(call?.input)
    const last = parts.at(-1)
    expect(last).toMatchObject({ type: 'finish', finishReason: { unified: 'tool-calls' } })
    expect(last?.type === 'finish' && last.usage.inputTokens.total).toBeGreaterThan(0)
  })

  test('answers from the results in the prompt', async () => {
    const prompt: LanguageModelV4Prompt = [
      ...said('What is 123 * 456?'),
      { role: 'assistant', content: [{ type: 'tool-call', toolCallId: 'a', toolName: 'calculate', input: {} }] },
      {
        role: 'tool',
        content: [
          {
            type: 'tool-result',
            toolCallId: 'a',
            toolName: 'calculate',
            output: { type: 'json', value: { expression: '123 * 456', value: 56088 } },
          },
        ],
      },
    ]
    const parts = await partsOf({ prompt, tools })
    expect(parts.map((part) => (part.type === 'text-delta' ? part.delta : '')).join('')).toBe('123 × 456 = **56088**')
  })

  test('asks only for tools that it was offered', async () => {
    const parts = await partsOf({ prompt: said('What is 123 * 456?'), tools: [] })
    expect(parts.some((part) => part.type === 'tool-call')).toBe(false)
    expect(parts.map((part) => (part.type === 'text-delta' ? part.delta : '')).join('')).toMatch(/^I can only/)
  })

  test('ends at once when it is aborted', async () => {
    const abort = new AbortController()
    const { stream } = await offlineModel({ pace: 1000 }).doStream({ prompt: said('Hello'), abortSignal: abort.signal })
    const reader = stream.getReader()
    await reader.read()
    const next = reader.read()
    const reason = new Error('enough')
    abort.abort(reason)
    await expect(next).rejects.toBe(reason)
  })

  test.each([
    ['What is 123 * 456?', ['calculate', { expression: '123 * 456' }]],
    ['how much is 15% of 80', ['calculate', { expression: '15 / 100 * 80' }]],
    ['12 x 3', ['calculate', { expression: '12 * 3' }]],
    ['1,234 plus 5 divided by 2', ['calculate', { expression: '1234 + 5 / 2' }]],
    ['What time is it?', ['current_time', {}]],
    ['What time is it in New York?', ['current_time', { timeZone: 'America/New_York' }]],
    ['Add milk to my to-do list', ['add_todo', { text: 'milk' }]],
    ['Please add "call Mum" to the list', ['add_todo', { text: 'call Mum' }]],
    ['Remind me to water the plants', ['add_todo', { text: 'water the plants' }]],
    ['Show my to-do list', ['list_todos', {}]],
    ['Mark milk as done', ['complete_todo', { entry: 'milk' }]],
    ['Complete "call Mum" on my list', ['complete_todo', { entry: 'call Mum' }]],
    ['Make the page dark blue', ['set_page_colors', { color: 'blue', scheme: 'dark' }]],
    ['Set the background to #ff8800', ['set_page_colors', { color: '#ff8800' }]],
    ['Back to the default colours', ['set_page_colors', { color: 'default', scheme: 'system' }]],
  ] as const)('understands: %s', (message, [toolName, input]) => {
    expect(intentsOf(message)).toEqual([{ toolName, input }])
  })

  test('understands several things in one message', () => {
    const names = intentsOf('Add milk and bread to my list. What is 2 + 2, and what time is it?').map(
      ({ toolName }) => toolName,
    )
    expect(names).toEqual(['add_todo', 'add_todo', 'calculate', 'current_time'])
  })

  test.each(['Write a poem about rain', 'The sky is blue', 'Hello', 'What is the capital of France?'])(
    'makes nothing of: %s',
    (message) => expect(intentsOf(message)).toEqual([]),
  )
})

describe('calculate', () => {
  test.each([
    ['123*456', 56088],
    ['2^3^2', 512],
    ['-2^2', -4],
    ['(1+2)*3 - 10%4', 7],
    ['0.1+0.2', 0.3],
    ['sqrt(16)/.5', 8],
  ])('%s is %d', (expression, value) => expect(calculate(expression)).toBe(value))

  test.each([
    ['1/0', 'Division by zero'],
    ['(1', 'A closing parenthesis is missing'],
    ['2 2', 'Did not expect "2"'],
    ['', 'The expression ends too early'],
    ['alert(1)', '"a" is not a number'],
    ['9^9^9', 'The result is no finite number'],
  ])('refuses %j: %s', (expression, message) => expect(() => calculate(expression)).toThrow(message))
})
