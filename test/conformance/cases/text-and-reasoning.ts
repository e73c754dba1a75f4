import type { Case } from '../case.ts'
import { answer, call, type Part, reasoning, text } from '../parts.ts'
import { forecast } from '../tools.ts'

const signature = (value: string) => ({ anthropic: { signature: value } })
const item = (itemId: string) => ({ openai: { itemId } })

export const textAndReasoning: Case[] = [
  { name: 'text', answers: [answer(text('0', 'Hello', ' there'))] },
  { name: 'two text blocks stay two', answers: [answer(text('0', 'One'), text('1', 'Two'))] },
  {
    name: 'two text blocks written at the same time stay apart, in the order in which they began',
    answers: [
      answer([
        { type: 'text-start', id: 'a' },
        { type: 'text-start', id: 'b' },
        { type: 'text-delta', id: 'b', delta: 'second' },
        { type: 'text-delta', id: 'a', delta: 'first' },
        { type: 'text-end', id: 'b' },
        { type: 'text-end', id: 'a' },
      ]),
    ],
  },
  {
    name: 'a text and a reasoning of the same id are two parts',
    answers: [answer(reasoning('0', 'Hm'), text('0', 'Yes'))],
  },
  {
    name: 'text and reasoning that alternate keep their order',
    answers: [answer(reasoning('0', 'Let', ' me'), text('1', 'First'), reasoning('2', 'Then'), text('3', 'Second'))],
  },
  {
    name: 'a text id that is used again within an answer is a new block',
    answers: [answer(text('0', 'One'), text('0', 'Two'))],
  },
  { name: 'an empty text is not sent back', answers: [answer(text('0'), text('1', 'Yes'))] },
  { name: 'an answer of nothing is no message of the next prompt', answers: [answer(text('0'))] },
  { name: 'an answer without any part is no message of the next prompt', answers: [answer()] },
  {
    name: 'an empty text with metadata is sent back',
    answers: [
      answer(
        [
          { type: 'text-start', id: '0', providerMetadata: item('msg_1') },
          { type: 'text-end', id: '0' },
        ],
        text('1', 'Yes'),
      ),
    ],
  },
  {
    name: "a text's metadata goes back as its provider options",
    answers: [
      answer([
        { type: 'text-start', id: '0', providerMetadata: item('msg_1') },
        { type: 'text-delta', id: '0', delta: 'Hello' },
        { type: 'text-end', id: '0' },
      ]),
    ],
  },
  {
    name: "of a text's metadata the last one wins, whole",
    answers: [
      answer([
        { type: 'text-start', id: '0', providerMetadata: item('msg_1') },
        { type: 'text-delta', id: '0', delta: 'Hello', providerMetadata: { openai: { phase: 'delta' } } },
        { type: 'text-end', id: '0', providerMetadata: { openai: { phase: 'final' } } },
      ]),
    ],
  },
  {
    name: 'metadata of an empty delta counts',
    answers: [
      answer([
        { type: 'text-start', id: '0' },
        { type: 'text-delta', id: '0', delta: 'Hello' },
        { type: 'text-delta', id: '0', delta: '', providerMetadata: { google: { thoughtSignature: 'abc' } } },
        { type: 'text-end', id: '0' },
      ]),
    ],
  },
  {
    name: "a reasoning's signature, which comes with its last delta, goes back",
    answers: [
      answer(
        [
          { type: 'reasoning-start', id: '0' },
          { type: 'reasoning-delta', id: '0', delta: 'Think' },
          { type: 'reasoning-delta', id: '0', delta: '', providerMetadata: signature('s1') },
          { type: 'reasoning-end', id: '0' },
        ],
        text('1', 'Yes'),
      ),
    ],
  },
  {
    name: 'a reasoning with an item id at its start and its encrypted content at its end keeps the end',
    answers: [
      answer(
        [
          {
            type: 'reasoning-start',
            id: 'rs_1:0',
            providerMetadata: { openai: { itemId: 'rs_1', reasoningEncryptedContent: null } },
          },
          { type: 'reasoning-delta', id: 'rs_1:0', delta: 'Think', providerMetadata: item('rs_1') },
          {
            type: 'reasoning-end',
            id: 'rs_1:0',
            providerMetadata: { openai: { itemId: 'rs_1', reasoningEncryptedContent: 'gAAAA' } },
          },
        ] as Part[],
        text('1', 'Yes'),
      ),
    ],
  },
  {
    name: 'redacted reasoning, which has metadata and no text, goes back',
    answers: [
      answer(
        [
          { type: 'reasoning-start', id: '0', providerMetadata: { anthropic: { redactedData: 'xyz' } } },
          { type: 'reasoning-end', id: '0' },
        ],
        text('1', 'Yes'),
      ),
    ],
  },
  { name: 'empty reasoning without metadata goes back too', answers: [answer(reasoning('0'), text('1', 'Yes'))] },
  {
    name: "reasoning's metadata goes back before the calls that it led to",
    tools: () => ({ forecast: forecast() }),
    answers: [
      answer(
        [
          { type: 'reasoning-start', id: '0', providerMetadata: item('rs_1') },
          { type: 'reasoning-delta', id: '0', delta: 'I need the weather' },
          { type: 'reasoning-end', id: '0' },
        ],
        call('c1', 'forecast', { city: 'Ulm' }, { providerMetadata: item('fc_1') }),
      ),
      answer(text('0', 'It rains.')),
    ],
  },
  { name: 'instructions come first, in every call', instructions: 'Be brief.', answers: [answer(text('0', 'Hi'))] },
  {
    name: 'characters beyond the basic plane, cut in two by the deltas, are whole',
    answers: [answer(text('0', '\ud83d', '\ude00', ' ü\u2028'))],
  },
]
