import { dynamicTool, tool } from 'ai'
import { z } from 'zod'
import type { Case } from '../case.ts'
import { answer, call, text } from '../parts.ts'
import { anything, returning } from '../tools.ts'

const done = answer(text('0', 'Done it.'))
const acting = [answer(call('c1', 'act', {})), done]

class Temperature {
  readonly #celsius = 21
  toJSON() {
    return { celsius: this.#celsius }
  }
}
class Refused extends Error {
  override readonly name = 'Refused'
}

const outputs: Record<string, () => unknown> = {
  'a string': () => 'Rain',
  'an empty string': () => '',
  'a number': () => 21.5,
  'a number that JSON cannot say': () => Number.NaN,
  'a boolean': () => false,
  nothing: () => undefined,
  null: () => null,
  'an object in an object': () => ({ a: { b: [1, { c: null }] } }),
  'an object with undefined in it': () => ({ a: undefined, b: [undefined, 1] }),
  'a Date': () => new Date(0),
  'an object with a Date in it': () => ({ at: new Date(0) }),
  'an array': () => [1, 'two', [3]],
  'an object with a toJSON of its own': () => new Temperature(),
  'an object with the key __proto__': () => JSON.parse('{"__proto__":{"a":1}}'),
}

const thrown: Record<string, () => unknown> = {
  'an Error': () => new Error('The service is down'),
  'an Error of another class': () => new Refused('Not you'),
  'an Error without a message': () => new Error(),
  'a TypeError': () => new TypeError('x is not a function'),
  'a DOMException': () => new DOMException('Took too long', 'TimeoutError'),
  'a string': () => 'No',
  'an empty string': () => '',
  'an object': () => ({ code: 7, why: 'No' }),
  'a number': () => 7,
  undefined: () => undefined,
  null: () => null,
}

export const toolOutputs: Case[] = [
  ...Object.entries(outputs).map(
    ([what, make]): Case => ({ name: `a tool that returns ${what}`, tools: () => returning(make), answers: acting }),
  ),
  ...Object.entries(thrown).map(
    ([what, make]): Case => ({
      name: `a tool that throws ${what}`,
      tools: () =>
        returning(() => {
          throw make()
        }),
      answers: acting,
    }),
  ),
  {
    name: 'a tool that throws before it returns a promise',
    tools: () => ({
      act: tool({
        inputSchema: z.object({}),
        execute: (): string => {
          throw new Error('At once')
        },
      }),
    }),
    answers: acting,
  },
  {
    name: 'a tool that fails beside one that does not',
    tools: () => ({
      ...returning(() => {
        throw new Error('No')
      }),
      fine: tool({ inputSchema: z.object({}), execute: () => 'fine' }),
    }),
    answers: [answer(call('c1', 'act', {}, { providerMetadata: { a: { b: 'c' } } }), call('c2', 'fine', {})), done],
  },
  {
    name: 'a dynamic tool that fails',
    tools: () => ({
      act: dynamicTool({
        inputSchema: anything,
        execute: () => {
          throw new Error('No')
        },
      }),
    }),
    answers: acting,
  },
  {
    name: 'toModelOutput says what the model is told, not what is shown',
    tools: () => ({
      act: tool({
        inputSchema: z.object({ n: z.number() }),
        execute: ({ n }) => ({ n, big: 'x'.repeat(100) }),
        toModelOutput: ({ input, output, toolCallId }) => ({
          type: 'text',
          value: `${toolCallId}: ${input.n} ${output.big.length}`,
        }),
      }),
    }),
    answers: [answer(call('c1', 'act', { n: 7 })), done],
  },
  {
    name: 'toModelOutput may be async, and give JSON with provider options',
    tools: () => ({
      act: tool({
        inputSchema: z.object({}),
        execute: () => 'x',
        toModelOutput: async () => ({
          type: 'json',
          value: { short: true },
          providerOptions: { anthropic: { cacheControl: { type: 'ephemeral' } } },
        }),
      }),
    }),
    answers: acting,
  },
  {
    name: 'toModelOutput may give an error',
    tools: () => ({
      act: tool({
        inputSchema: z.object({}),
        execute: () => ({ ok: false }),
        toModelOutput: () => ({ type: 'error-text', value: 'It was not ok' }),
      }),
    }),
    answers: acting,
  },
  {
    name: 'toModelOutput may give content: text, an image and a file by name',
    tools: () => ({
      act: tool({
        inputSchema: z.object({}),
        execute: () => ({ png: 'iVBORw0KGgoAAAANSUhEUg==' }),
        toModelOutput: ({ output }) => ({
          type: 'content',
          value: [
            { type: 'text', text: 'A picture', providerOptions: { a: { b: 'c' } } },
            { type: 'file', mediaType: 'image/png', data: { type: 'data', data: output.png } },
            { type: 'file', mediaType: 'text/plain', filename: 'a.txt', data: { type: 'text', text: 'Hello' } },
          ],
        }),
      }),
    }),
    answers: acting,
  },
  {
    name: 'toModelOutput may give bytes',
    tools: () => ({
      act: tool({
        inputSchema: z.object({}),
        execute: () => 'x',
        toModelOutput: () => ({
          type: 'content',
          value: [
            {
              type: 'file',
              mediaType: 'application/pdf',
              data: { type: 'data', data: new Uint8Array([37, 80, 68, 70]) },
            },
          ],
        }),
      }),
    }),
    answers: acting,
  },
  {
    name: 'toModelOutput may refer to a file by its URL',
    tools: () => ({
      act: tool({
        inputSchema: z.object({}),
        execute: () => 'x',
        toModelOutput: () => ({
          type: 'content',
          value: [
            { type: 'file', mediaType: 'image/png', data: { type: 'url', url: new URL('https://example.com/a.png') } },
          ],
        }),
      }),
    }),
    answers: acting,
  },
  {
    name: 'toModelOutput in the older forms of files',
    tools: () => ({
      act: tool({
        inputSchema: z.object({}),
        execute: () => 'x',
        toModelOutput: () => ({
          type: 'content',
          value: [
            {
              type: 'image-data',
              data: 'iVBORw0KGgoAAAANSUhEUg==',
              mediaType: 'image/png',
              providerOptions: { a: { b: 'c' } },
            },
            { type: 'file-data', data: 'AAAA', mediaType: 'application/pdf', filename: 'a.pdf' },
            { type: 'image-url', url: 'https://example.com/a.png' },
            { type: 'file-url', url: 'https://example.com/b', mediaType: 'application/pdf' },
          ],
        }),
      }),
    }),
    answers: acting,
  },
  {
    name: 'a tool that streams: its last value is the output',
    tools: () => ({
      act: tool({
        inputSchema: z.object({}),
        async *execute() {
          yield 'loading'
          yield { half: true }
          yield { done: true }
        },
      }),
    }),
    answers: acting,
  },
  {
    name: 'a tool that streams nothing',
    tools: () => ({
      act: tool({
        inputSchema: z.object({}),
        async *execute(): AsyncGenerator<string> {},
      }),
    }),
    answers: acting,
  },
  {
    name: 'a tool that streams and then throws fails',
    tools: () => ({
      act: tool({
        inputSchema: z.object({}),
        async *execute() {
          yield 'loading'
          throw new Error('In mid-stream')
        },
      }),
    }),
    answers: acting,
  },
  {
    name: 'toModelOutput of a tool that streams gets its last value',
    tools: () => ({
      act: tool({
        inputSchema: z.object({}),
        async *execute() {
          yield 1
          yield 2
        },
        toModelOutput: ({ output }) => ({ type: 'text', value: `last was ${output}` }),
      }),
    }),
    answers: acting,
  },
]
