import { jsonSchema, type ToolSet, tool } from 'ai'
import { z } from 'zod'
import type { Case } from '../case.ts'
import { answer, text } from '../parts.ts'

const described = (name: string, make: () => ToolSet): Case => ({
  name: `the model is told of ${name}`,
  tools: make,
  answers: [answer(text('0', 'Yes'))],
})
const zod = (name: string, inputSchema: z.ZodType) =>
  described(`a tool whose input is ${name}`, () => ({
    act: tool({ description: 'Acts', inputSchema, execute: () => 'done' }),
  }))

const node = z.object({
  name: z.string(),
  get children() {
    return z.array(node)
  },
})

export const toolDescriptions: Case[] = [
  zod(
    'an object of all simple kinds',
    z.object({
      s: z.string().min(1).max(9),
      n: z.number().int(),
      b: z.boolean(),
      e: z.enum(['a', 'b']),
      l: z.literal(7),
      u: z.null(),
    }),
  ),
  zod('an empty object', z.object({})),
  zod(
    'an object with optional and defaulted fields',
    z.object({ a: z.string().optional(), b: z.number().default(3), c: z.string().nullable() }),
  ),
  zod(
    'nested objects and arrays',
    z.object({ list: z.array(z.object({ id: z.string(), tags: z.array(z.string()).max(3) })) }),
  ),
  zod('a union', z.object({ either: z.union([z.object({ a: z.string() }), z.object({ b: z.number() })]) })),
  zod(
    'a union told apart by a field',
    z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('a'), a: z.string() }),
      z.object({ kind: z.literal('b') }),
    ]),
  ),
  zod('an intersection', z.object({ a: z.string() }).and(z.object({ b: z.number() }))),
  zod(
    'a record',
    z.object({
      map: z.record(z.string(), z.number()),
      loose: z.looseObject({ a: z.string() }),
      strict: z.strictObject({}),
    }),
  ),
  zod('a tuple', z.object({ pair: z.tuple([z.string(), z.object({ n: z.number() })]) })),
  zod('described', z.object({ city: z.string().describe('Its name in English') }).describe('A place')),
  zod(
    'transformed',
    z.object({
      at: z.string().transform((at) => new Date(at)),
      n: z.coerce.number(),
      p: z.preprocess((it) => it, z.string()),
    }),
  ),
  zod('recursive', z.object({ root: node })),
  zod(
    'checked by a refinement',
    z.object({ a: z.string().email(), b: z.string().regex(/^x/) }).refine(() => true),
  ),
  described('a tool of a JSON schema', () => ({
    act: tool({
      description: 'Acts',
      inputSchema: jsonSchema({
        type: 'object',
        properties: { n: { type: 'number' }, o: { type: 'object' } },
        required: ['n'],
      }),
      execute: () => 'done',
    }),
  })),
  described('a tool of a JSON schema that comes later', () => ({
    act: tool({ inputSchema: jsonSchema(async () => ({ type: 'object', properties: {} })), execute: () => 'done' }),
  })),
  described('a tool of a schema in a function', () => ({
    act: tool({ inputSchema: () => jsonSchema({ type: 'object', properties: {} }), execute: () => 'done' }),
  })),
  described('a tool without a description', () => ({
    act: tool({ inputSchema: z.object({}), execute: () => 'done' }),
  })),
  described('a tool whose description is a function', () => ({
    act: tool({ description: () => 'Acts today', inputSchema: z.object({}), execute: () => 'done' }),
  })),
  described("a tool's examples, strictness and provider options", () => ({
    act: tool({
      description: 'Acts',
      inputSchema: z.object({ n: z.number() }),
      inputExamples: [{ input: { n: 1 } }],
      strict: true,
      providerOptions: { anthropic: { cacheControl: { type: 'ephemeral' } } },
      execute: () => 'done',
    }),
  })),
  described('tools in the order in which they are given', () => ({
    zebra: tool({ inputSchema: z.object({}), execute: () => 'z' }),
    ant: tool({ inputSchema: z.object({}), execute: () => 'a' }),
  })),
  described("a provider's own tools", () => ({
    search: {
      type: 'provider',
      isProviderExecuted: true,
      id: 'mock.search',
      args: { region: 'eu' },
      inputSchema: z.object({}),
      outputSchema: z.object({}),
    } as unknown as ToolSet[string],
    shell: {
      type: 'provider',
      isProviderExecuted: false,
      id: 'mock.shell',
      args: {},
      inputSchema: z.object({}),
      execute: async () => 'ran',
    } as unknown as ToolSet[string],
  })),
]
