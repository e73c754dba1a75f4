import { createOpenAI } from '@ai-sdk/openai'
import { createRuntime, defineAgent, tool } from 'turnloop/runtime'
import { defineSkill, parseSkill } from 'turnloop/skills'
import { z } from 'zod'

const openai = createOpenAI({ baseURL: '/api/openai', apiKey: 'the proxy adds it' })

// #region define
const refund = tool({
  description: 'Refunds an order',
  inputSchema: z.object({ order: z.string().max(50) }),
  approval: 'always',
  execute: ({ order }) => `refunded ${order}`,
})

const refunds = defineSkill({
  name: 'refunds',
  description: 'Handles refunds. Use it when somebody wants money back.', // all that the model sees at first
  instructions: 'Ask for the number of the order first. Never refund an order twice.',
  tools: { refund }, // the model is told of them once it has loaded the skill
})
// #endregion

// #region parse
const file = `---
name: letters
description: Writes formal letters. Use it for anything that goes out by post.
license: MIT
---

Begin with "Dear", and end with "Yours sincerely".
`

const letters = parseSkill(file) // in an app: import file from './skills/letters/SKILL.md?raw'
// #endregion

// #region agent
export const support = defineAgent({
  name: 'support',
  model: openai('gpt-5-mini'),
  instructions: 'You help customers.',
  skills: [refunds, letters],
})
// #endregion

export const runtime = createRuntime(support)
