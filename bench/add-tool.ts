import { jsonSchema, tool } from 'turnloop/runtime'

/** A tool that costs nothing. Both sides of a comparison use this one. */
export const tools = {
  add: tool({
    description: 'Adds two numbers',
    inputSchema: jsonSchema<{ a: number; b: number }>({
      type: 'object',
      properties: { a: { type: 'number' }, b: { type: 'number' } },
      required: ['a', 'b'],
    }),
    execute: ({ a, b }) => a + b,
  }),
}
