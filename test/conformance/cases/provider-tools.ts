import { type ToolSet, tool } from 'ai'
import { z } from 'zod'
import type { Case } from '../case.ts'
import { answer, call, type Part, text, wholeCall } from '../parts.ts'
import { anything, forecast } from '../tools.ts'

/** A tool that the provider carries out by itself. */
const search = (options: object = {}): ToolSet =>
  ({
    search: {
      type: 'provider',
      isProviderExecuted: true,
      id: 'mock.search',
      args: { region: 'eu' },
      inputSchema: z.object({ q: z.string() }),
      outputSchema: anything,
      ...options,
    },
  }) as ToolSet

const result = (toolCallId: string, toolName: string, value: object | string, options: object = {}): Part =>
  ({ type: 'tool-result', toolCallId, toolName, result: value, ...options }) as Part

const searching = (options: object = {}) => [
  ...call('s1', 'search', { q: 'ulm' }, { providerExecuted: true, ...options }),
  result('s1', 'search', { hits: ['a', 'b'] }),
]

export const providerTools: Case[] = [
  {
    name: "a provider's own call and its result in the middle of text",
    tools: search,
    answers: [answer(text('0', 'Let me search.'), searching(), text('1', 'Found it.'))],
  },
  {
    name: "a provider's own call comes as one part",
    tools: search,
    answers: [
      answer(wholeCall('s1', 'search', { q: 'ulm' }, { providerExecuted: true }), result('s1', 'search', { hits: [] })),
    ],
  },
  {
    name: "a provider's result that is a string",
    tools: search,
    answers: [
      answer(
        call('s1', 'search', { q: 'ulm' }, { providerExecuted: true }),
        result('s1', 'search', 'two hits'),
        text('0', 'Yes'),
      ),
    ],
  },
  {
    name: "a provider's result that is an error",
    tools: search,
    answers: [
      answer(
        call('s1', 'search', { q: 'ulm' }, { providerExecuted: true }),
        result('s1', 'search', { code: 'unavailable' }, { isError: true }),
        text('0', 'No luck.'),
      ),
    ],
  },
  {
    name: "a provider's error that is a string",
    tools: search,
    answers: [
      answer(
        call('s1', 'search', { q: 'ulm' }, { providerExecuted: true }),
        result('s1', 'search', 'unavailable', { isError: true }),
        text('0', 'No luck.'),
      ),
    ],
  },
  {
    name: "metadata of a provider's call and of its result",
    tools: search,
    answers: [
      answer(
        call(
          's1',
          'search',
          { q: 'ulm' },
          { providerExecuted: true, providerMetadata: { openai: { itemId: 'ws_1' } } },
        ),
        result('s1', 'search', { hits: [] }, { providerMetadata: { openai: { itemId: 'ws_1_result' } } }),
        text('0', 'Nothing.'),
      ),
    ],
  },
  {
    name: "a provider's call without a result",
    tools: search,
    answers: [answer(call('s1', 'search', { q: 'ulm' }, { providerExecuted: true }), text('0', 'Searched.'))],
  },
  {
    name: "a provider's call whose input is not of the schema",
    tools: search,
    answers: [answer(call('s1', 'search', { query: 'ulm' }, { providerExecuted: true }), text('0', 'Hm.'))],
  },
  {
    name: "a provider's dynamic tool that we don't know",
    answers: [
      answer(
        call('m1', 'mcp.lookup', { id: 1 }, { providerExecuted: true, dynamic: true }),
        result('m1', 'mcp.lookup', { type: 'call', output: 'found' }, { dynamic: true }),
        text('0', 'Found.'),
      ),
    ],
  },
  {
    name: "a provider's dynamic tool that we don't know, beside tools of ours",
    tools: () => ({ forecast: forecast() }),
    answers: [
      answer(
        wholeCall('m1', 'mcp.lookup', { id: 1 }, { providerExecuted: true, dynamic: true }),
        result('m1', 'mcp.lookup', { type: 'call', output: 'found' }, { dynamic: true, isError: true }),
        call('c1', 'forecast', { city: 'Ulm' }),
      ),
      answer(text('0', 'Found.')),
    ],
  },
  {
    name: "a provider's dynamic call with blank input",
    answers: [
      answer(
        wholeCall('m1', 'mcp.list', '', { providerExecuted: true, dynamic: true }),
        result('m1', 'mcp.list', ['a'], { dynamic: true }),
        text('0', 'One.'),
      ),
    ],
  },
  {
    name: "a provider's call beside one of ours, both with results",
    tools: () => ({ ...search(), forecast: forecast() }),
    answers: [answer(searching(), call('c1', 'forecast', { city: 'Ulm' })), answer(text('0', 'There.'))],
  },
  {
    name: "a provider's result that comes after one of our calls",
    tools: () => ({ ...search(), forecast: forecast() }),
    answers: [
      answer(
        call('s1', 'search', { q: 'ulm' }, { providerExecuted: true }),
        call('c1', 'forecast', { city: 'Ulm' }),
        result('s1', 'search', { hits: [] }),
      ),
      answer(text('0', 'There.')),
    ],
  },
  {
    name: "toModelOutput of a provider's tool",
    tools: () => search({ toModelOutput: () => ({ type: 'text', value: 'shortened' }) }),
    answers: [answer(searching(), text('0', 'Found.'))],
  },
  {
    name: 'a deferred result: its call stood in the answer before',
    tools: () => ({ ...search({ supportsDeferredResults: true }), forecast: forecast() }),
    answers: [
      answer(call('s1', 'search', { q: 'ulm' }, { providerExecuted: true }), call('c1', 'forecast', { city: 'Ulm' })),
      answer(result('s1', 'search', { hits: ['late'] }), text('0', 'There.')),
    ],
  },
  {
    name: 'a deferred result without a call of ours: the model is asked on',
    tools: () => search({ supportsDeferredResults: true }),
    answers: [
      answer(text('0', 'Searching'), call('s1', 'search', { q: 'ulm' }, { providerExecuted: true })),
      answer(result('s1', 'search', { hits: ['late'] }), text('0', 'There.')),
    ],
  },
  {
    name: 'a deferred result that is an error',
    tools: () => ({ ...search({ supportsDeferredResults: true }), forecast: forecast() }),
    answers: [
      answer(call('s1', 'search', { q: 'ulm' }, { providerExecuted: true }), call('c1', 'forecast', { city: 'Ulm' })),
      answer(result('s1', 'search', { code: 'late' }, { isError: true }), text('0', 'There.')),
    ],
  },
  {
    name: 'a tool that the provider defines and we carry out',
    tools: () =>
      ({
        shell: {
          type: 'provider',
          isProviderExecuted: false,
          id: 'mock.shell',
          args: {},
          inputSchema: z.object({ command: z.string() }),
          execute: async ({ command }: { command: string }) => `ran ${command}`,
        },
      }) as unknown as ToolSet,
    answers: [answer(call('c1', 'shell', { command: 'ls' })), answer(text('0', 'Ran.'))],
  },
  {
    name: "our tools' results stay in call order around a provider's call",
    tools: () => ({
      ...search(),
      forecast: forecast(),
      now: tool({ inputSchema: z.object({}), execute: () => '12:00' }),
    }),
    answers: [
      answer(call('c1', 'forecast', { city: 'Ulm' }), searching(), text('0', 'And'), call('c2', 'now', {})),
      answer(text('0', 'There.')),
    ],
  },
]
