import type { Case } from '../case.ts'
import { answer, call, reasoning, text } from '../parts.ts'
import { forecast } from '../tools.ts'

const tools = () => ({ forecast: forecast() })
/** With a length of its own an answer that came to it is not continued; the AI SDK continues none. */
const settings = { maxOutputTokens: 20 }
const calling = call('c1', 'forecast', { city: 'Ulm' })

export const endings: Case[] = [
  ...(['length', 'content-filter', 'other'] as const).flatMap((finish): Case[] => [
    { name: `an answer that ends for "${finish}"`, settings, answers: [answer(text('0', 'Once upon'), { finish })] },
    {
      name: `calls of an answer that ends for "${finish}" are not carried out, and end the run`,
      tools,
      answers: [answer(text('0', 'Let me see'), calling, { finish })],
      alone: true,
      differs: ['calls that are not carried out'],
    },
  ]),
  {
    name: 'an answer that ends for "length" after turns with calls',
    tools,
    settings,
    answers: [answer(calling), answer(text('0', 'It is rather'), { finish: 'length' })],
  },
  {
    // The AI SDK would ask the model again; an answer that was cut ends our run, whatever it called.
    name: 'a call that was cut in an answer that ends for "length" is shown as refused',
    tools,
    answers: [answer(call('c1', 'forecast', '{"city":"U'), { finish: 'length' })],
    maxTurns: 1,
  },
  {
    name: 'reasoning that its provider does not end',
    answers: [answer([...reasoning('0', 'Hm').slice(0, 2), ...text('1', 'Yes')])],
  },
  {
    name: 'the cap of turns ends a model that calls for ever',
    tools,
    maxTurns: 3,
    answers: ['Ulm', 'Porto', 'Oslo'].map((city, at) => answer(call(`c${at + 1}`, 'forecast', { city }))),
  },
]
