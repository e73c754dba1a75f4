import { dynamicTool, jsonSchema, tool } from 'ai'
import { z } from 'zod'
import type { Case } from '../case.ts'
import { answer, call, reasoning, text, wholeCall } from '../parts.ts'
import { anything, forecast } from '../tools.ts'

const done = answer(text('0', 'It rains.'))

/** Two tools that end in the other order than they started in. */
const racing = () => {
  const slowMay = Promise.withResolvers<void>()
  const slow = tool({
    inputSchema: z.object({}),
    execute: async () => {
      await slowMay.promise
      return 'slow'
    },
  })
  const fast = tool({
    inputSchema: z.object({}),
    execute: async () => {
      slowMay.resolve()
      return 'fast'
    },
  })
  return { slow, fast }
}

export const calls: Case[] = [
  {
    name: 'one call, then text',
    tools: () => ({ forecast: forecast() }),
    answers: [answer(text('0', 'One moment.'), call('c1', 'forecast', { city: 'Ulm' })), done],
  },
  {
    name: 'a call that comes as one part',
    tools: () => ({ forecast: forecast() }),
    answers: [answer(wholeCall('c1', 'forecast', { city: 'Ulm' })), done],
  },
  {
    name: 'text after a call stays after it',
    tools: () => ({ forecast: forecast() }),
    answers: [answer(text('0', 'Before'), call('c1', 'forecast', { city: 'Ulm' }), text('1', 'After')), done],
  },
  {
    name: 'a call under the finish reason "stop" is carried out',
    tools: () => ({ forecast: forecast() }),
    answers: [answer(call('c1', 'forecast', { city: 'Ulm' }), { finish: 'stop' }), done],
  },
  {
    name: 'three turns of calls',
    tools: () => ({ forecast: forecast() }),
    answers: [
      answer(call('c1', 'forecast', { city: 'Ulm' })),
      answer(reasoning('0', 'Again'), call('c2', 'forecast', { city: 'Bern' })),
      answer(text('0', 'And'), call('c3', 'forecast', { city: 'Linz', days: 2 })),
      done,
    ],
  },
  {
    name: 'parallel calls that finish out of order give their results in call order',
    tools: racing,
    answers: [answer(call('c1', 'slow', {}), call('c2', 'fast', {})), done],
  },
  {
    name: 'calls whose inputs are written at the same time',
    tools: () => ({ forecast: forecast() }),
    answers: [
      answer(
        [
          { type: 'tool-input-start', id: 'c1', toolName: 'forecast' },
          { type: 'tool-input-start', id: 'c2', toolName: 'forecast' },
          { type: 'tool-input-delta', id: 'c2', delta: '{"city":"Bern"}' },
          { type: 'tool-input-delta', id: 'c1', delta: '{"city":"Ulm"}' },
          { type: 'tool-input-end', id: 'c1' },
          { type: 'tool-input-end', id: 'c2' },
        ],
        wholeCall('c1', 'forecast', { city: 'Ulm' }),
        wholeCall('c2', 'forecast', { city: 'Bern' }),
      ),
      done,
    ],
  },
  {
    name: 'blank input is an empty object',
    tools: () => ({ now: tool({ inputSchema: z.object({}), execute: () => '12:00' }) }),
    answers: [answer(call('c1', 'now', '')), answer(call('c2', 'now', ' \n')), done],
  },
  {
    name: 'blank input that the schema does not allow is refused',
    tools: () => ({ forecast: forecast() }),
    answers: [answer(call('c1', 'forecast', '')), done],
  },
  {
    name: 'input that is no JSON is refused, beside a call that is carried out',
    tools: () => ({ forecast: forecast() }),
    answers: [answer(call('c1', 'forecast', '{"city": "Ul'), call('c2', 'forecast', { city: 'Ulm' })), done],
  },
  {
    name: 'input that comes as one part and is no JSON is refused',
    tools: () => ({ forecast: forecast() }),
    answers: [answer(wholeCall('c1', 'forecast', 'Ulm please')), done],
  },
  {
    name: 'input that is not of the schema is refused',
    tools: () => ({ forecast: forecast() }),
    answers: [answer(call('c1', 'forecast', { town: 'Ulm' })), done],
  },
  {
    name: 'input that is JSON but no object is refused',
    tools: () => ({ forecast: forecast() }),
    answers: [
      answer(call('c1', 'forecast', '"Ulm"'), call('c2', 'forecast', '[1]'), call('c3', 'forecast', 'null')),
      done,
    ],
  },
  {
    name: 'a refused call with metadata keeps it',
    tools: () => ({ forecast: forecast() }),
    answers: [
      answer(call('c1', 'forecast', { town: 'Ulm' }, { providerMetadata: { openai: { itemId: 'fc_1' } } })),
      done,
    ],
  },
  {
    name: 'a tool that does not exist is refused',
    tools: () => ({ forecast: forecast() }),
    answers: [answer(call('c1', 'forcast', { city: 'Ulm' })), done],
  },
  {
    name: 'a tool that does not exist, whose call comes as one part, is refused',
    tools: () => ({ forecast: forecast() }),
    answers: [answer(wholeCall('c1', 'forcast', { city: 'Ulm' })), done],
  },
  {
    name: 'a call where there are no tools at all is refused',
    answers: [answer(call('c1', 'forecast', { city: 'Ulm' })), done],
  },
  {
    name: 'names that every object has are no tools',
    tools: () => ({ forecast: forecast() }),
    answers: [answer(call('c1', 'toString', {}), call('c2', 'constructor', {}), call('c3', '__proto__', {})), done],
  },
  {
    name: 'input with the key __proto__ is refused',
    tools: () => ({ act: tool({ inputSchema: anything, execute: () => 'done' }) }),
    answers: [answer(call('c1', 'act', '{"__proto__":{"admin":true}}')), done],
  },
  {
    name: 'what the schema adds to an input is what the tool gets and what goes back',
    tools: () => ({
      act: tool({
        inputSchema: z.object({ days: z.number().default(3), city: z.string().transform((city) => city.trim()) }),
        execute: () => 'done',
      }),
    }),
    answers: [answer(call('c1', 'act', { city: ' Ulm ' })), done],
  },
  {
    name: 'what the schema takes away from an input does not reach the tool',
    tools: () => ({ forecast: forecast() }),
    answers: [answer(call('c1', 'forecast', { city: 'Ulm', secret: 1 })), done],
  },
  {
    name: 'a schema that makes a Date gives the tool a Date',
    tools: () => ({
      act: tool({
        inputSchema: z.object({ at: z.string().transform((at) => new Date(at)) }),
        execute: ({ at }) => at.getTime(),
      }),
    }),
    answers: [answer(call('c1', 'act', { at: '2026-11-01T00:00:00.000Z' })), done],
  },
  {
    name: "a JSON schema's own validation is honoured",
    tools: () => ({
      act: tool({
        inputSchema: jsonSchema<{ n: number }>(
          { type: 'object', properties: { n: { type: 'number' } } },
          {
            validate: (value) =>
              (value as { n: number }).n > 0
                ? { success: true, value: value as { n: number } }
                : { success: false, error: new Error('n must be above 0') },
          },
        ),
        execute: ({ n }) => n,
      }),
    }),
    answers: [answer(call('c1', 'act', { n: 0 }), call('c2', 'act', { n: 1 })), done],
  },
  {
    name: "a call's metadata goes back with the call and with its result",
    tools: () => ({ forecast: forecast() }),
    answers: [
      answer(call('c1', 'forecast', { city: 'Ulm' }, { providerMetadata: { google: { thoughtSignature: 'abc' } } })),
      done,
    ],
  },
  {
    name: 'a dynamic tool is shown as one',
    tools: () => ({
      act: dynamicTool({
        description: 'Acts',
        inputSchema: z.object({ n: z.number() }),
        execute: async (input) => ({ was: input }),
      }),
    }),
    answers: [answer(call('c1', 'act', { n: 1 }), call('c2', 'act', { n: 'one' })), done],
  },
  {
    name: "a tool's own metadata is shown",
    tools: () => ({ forecast: { ...forecast(), metadata: { server: 'weather' } } }),
    answers: [answer(call('c1', 'forecast', { city: 'Ulm' })), done],
  },
  {
    name: "a tool's title is shown",
    tools: () => ({
      forecast: { ...forecast(), title: 'Weather' },
      act: dynamicTool({ title: 'Acting', inputSchema: anything, execute: async () => 'done' }),
    }),
    answers: [
      answer(call('c1', 'forecast', { city: 'Ulm' }), wholeCall('c2', 'act', {}), call('c3', 'forecast', {})),
      done,
    ],
  },
]
