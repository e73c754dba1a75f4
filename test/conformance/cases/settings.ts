import type { CallSettings } from '../../../src/sessions/records.ts'
import type { Case } from '../case.ts'
import { answer, call, text } from '../parts.ts'
import { forecast } from '../tools.ts'

const settings: Record<string, CallSettings> = {
  temperature: { temperature: 0 },
  'maximum output tokens': { maxOutputTokens: 100 },
  'top p and top k': { topP: 0.5, topK: 10 },
  penalties: { presencePenalty: 0.5, frequencyPenalty: -0.5 },
  'stop sequences': { stopSequences: ['END', '\n\n'] },
  'the seed': { seed: 42 },
  'reasoning effort': { reasoning: 'high' },
  headers: { headers: { 'x-tenant': 'a' } },
  "the provider's options": { providerOptions: { openai: { store: false, include: ['reasoning.encrypted_content'] } } },
}

export const callSettings: Case[] = [
  ...Object.entries(settings).map(
    ([what, given]): Case => ({
      name: `${what} reach the model, in every call`,
      settings: given,
      answers: [answer(text('0', 'Yes'))],
    }),
  ),
  {
    name: 'tools may be left alone: tool choice "none"',
    tools: () => ({ forecast: forecast() }),
    settings: { toolChoice: 'none' },
    answers: [answer(text('0', 'No tools.'))],
  },
  {
    name: 'tool choice "auto" is what a model is told by default',
    tools: () => ({ forecast: forecast() }),
    settings: { toolChoice: 'auto' },
    answers: [answer(text('0', 'No tools.'))],
  },
  {
    name: 'some tool may be required',
    tools: () => ({ forecast: forecast() }),
    settings: { toolChoice: 'required' },
    maxTurns: 1,
    answers: [answer(call('c1', 'forecast', { city: 'Ulm' }))],
  },
  {
    name: 'one tool may be required',
    tools: () => ({ forecast: forecast(), other: forecast() }),
    settings: { toolChoice: { type: 'tool', toolName: 'forecast' } },
    maxTurns: 1,
    answers: [answer(call('c1', 'forecast', { city: 'Ulm' }))],
  },
]
