import { describe, expect, it } from 'vitest'
import type { Case } from './case.ts'
import { calls } from './cases/calls.ts'
import { endings } from './cases/endings.ts'
import { filesAndSources } from './cases/files-and-sources.ts'
import { providerTools } from './cases/provider-tools.ts'
import { callSettings } from './cases/settings.ts'
import { textAndReasoning } from './cases/text-and-reasoning.ts'
import { toolDescriptions } from './cases/tool-descriptions.ts'
import { toolOutputs } from './cases/tool-outputs.ts'
import { normalise } from './normalise.ts'
import { answer, call } from './parts.ts'
import { forecast } from './tools.ts'
import { withRuntime } from './with-runtime.ts'
import { withStreamText } from './with-stream-text.ts'

// The same model and tools through `streamText` of the AI SDK and through the runtime: every prompt that the model gets,
// the messages in the end, what was carried out and what came out must be the same. normalise.ts says what is not.

const both = async (given: Case) => {
  const [reference, ours] = [await withStreamText(given), await withRuntime(given)]
  return { reference, ours, expected: normalise(reference, given.differs), actual: normalise(ours, given.differs) }
}

const tables = {
  'text and reasoning': textAndReasoning,
  calls,
  "tools' outputs": toolOutputs,
  "the provider's own tools": providerTools,
  'files and sources': filesAndSources,
  endings,
  settings: callSettings,
  'descriptions of tools': toolDescriptions,
}

for (const [table, cases] of Object.entries(tables)) {
  describe(table, () => {
    for (const given of cases) {
      it(given.name, async () => {
        const { reference, expected, actual } = await both(given)
        // The case was played to its end: otherwise two sides that do nothing would be the same.
        expect(reference.calls).toHaveLength(given.answers.length + (given.alone || given.maxTurns ? 0 : 1))
        expect(actual).toEqual(expected)
      })
    }
  })
}

describe('where the AI SDK can not go on', () => {
  const calling = answer(call('c1', 'forecast', { city: 'Ulm' }), { finish: 'length' })
  const tools = () => ({ forecast: forecast() })

  it('a call that was not carried out has a result that says so in the next prompt', async () => {
    const given: Case = { name: '', tools, answers: [calling] }
    await expect(withStreamText(given)).rejects.toThrow('c1')
    const { calls, executions } = await withRuntime(given)
    expect(executions).toEqual([])
    expect(calls[1]?.prompt[2]).toMatchObject({
      role: 'tool',
      content: [
        { toolCallId: 'c1', output: { type: 'error-text', value: expect.stringContaining('Not carried out') } },
      ],
    })
  })

  it('a call under the tool choice "none" is not carried out', async () => {
    const given: Case = {
      name: '',
      tools,
      settings: { toolChoice: 'none' },
      maxTurns: 1,
      answers: [answer(call('c1', 'forecast', { city: 'Ulm' }))],
    }
    const executions = await withStreamText(given).then(
      (trace) => trace.executions,
      () => [],
    )
    expect(executions).toEqual([])
    expect((await withRuntime(given)).executions).toEqual([])
  })
})

describe('the comparison', () => {
  it.each([
    ['calls', 'providerOptions'],
    ['calls', 'toolCallId'],
    ['calls', 'description'],
    ['messages', 'callProviderMetadata'],
    ['messages', 'resultProviderMetadata'],
    ['messages', 'celsius'],
    ['executions', 'city'],
    ['outputs', 'reasoningTokens'],
  ] as const)('notices that %s lost %s', async (area, lost) => {
    const given = calls.find(({ name }) => name.startsWith("a call's metadata")) as Case
    const { ours, expected } = await both(given)
    const without = (field?: string) =>
      JSON.parse(JSON.stringify(ours[area], (key, value) => (key === field ? undefined : value)))
    expect(normalise({ ...ours, [area]: without() })).toEqual(expected)
    expect(normalise({ ...ours, [area]: without(lost) })).not.toEqual(expected)
  })

  it('has a name of its own for each case', () => {
    const names = Object.values(tables).flatMap((cases) => cases.map(({ name }) => name))
    expect(new Set(names).size).toBe(names.length)
  })
})
