import type { Case } from '../case.ts'
import { answer, call, reasoning, text } from '../parts.ts'
import { forecast } from '../tools.ts'

const tools = () => ({ forecast: forecast() })
const calling = call('c1', 'forecast', { city: 'Ulm' })

export const endings: Case[] = [
  ...(['length', 'content-filter', 'other'] as const).flatMap((finish): Case[] => [
    { name: `an answer that ends for "${finish}"`, answers: [answer(text('0', 'Once upon'), { finish })] },
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
    answers: ['c1', 'c2', 'c3'].map((id) => answer(call(id, 'forecast', { city: 'Ulm' }))),
  },
]
