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
      differs: ['calls that are not carried out'],
    },
  ]),
  {
    name: 'an answer that ends for "length" after turns with calls',
    tools,
    answers: [answer(calling), answer(text('0', 'It is rather'), { finish: 'length' })],
  },
  {
    name: 'a refused call of an answer that ends for "length" ends the run too',
    tools,
    answers: [answer(call('c1', 'forecast', '{"city":"U'), { finish: 'length' })],
    differs: ['refused calls of an answer that was cut'],
  },
  { name: 'reasoning that was not ended', answers: [answer([...reasoning('0', 'Hm').slice(0, 2), ...text('1', 'Yes')])], differs: ['parts that were not ended'] },
  {
    name: 'the cap of turns ends a model that calls for ever',
    tools,
    maxTurns: 3,
    answers: ['c1', 'c2', 'c3'].map((id) => answer(call(id, 'forecast', { city: 'Ulm' }))),
  },
]
