import { createOpenAI } from '@ai-sdk/openai'
import { createRuntime, defineAgent, type Policy, tool } from 'turnloop/runtime'
import { z } from 'zod'

const openai = createOpenAI({ baseURL: '/api/openai', apiKey: 'the proxy adds it' })

// #region read
const read_mail = tool({
  title: 'Read a mail',
  description: 'Gives the text of one mail',
  inputSchema: z.object({ id: z.string().max(100) }),
  risk: 'safe',
  idempotent: true, // reading twice is no harm: a call that a crash cut off starts again by itself
  untrusted: true, // strangers wrote it: the model gets it in a frame, and the session counts as tainted
  execute: async ({ id }, { abortSignal }) => {
    const response = await fetch(`/api/mails/${encodeURIComponent(id)}`, { signal: abortSignal })
    if (!response.ok) throw new Error(`There is no mail "${id}" (${response.status})`)
    return response.text()
  },
})
// #endregion

// #region send
const send_mail = tool({
  title: 'Send a mail',
  description: 'Sends a mail to one person',
  inputSchema: z.object({ to: z.email().max(200), text: z.string().min(1).max(20_000) }),
  approval: 'always', // a person is asked before each call
  risk: 'sensitive',
  actionKey: ({ to }) => to.slice(to.indexOf('@') + 1), // "always allow" holds for one host, not for all mails
  egress: true, // it sends something out: in a tainted session "always allow" does not count
  timeout: 20_000,
  execute: async (mail, { idempotencyKey, abortSignal }) => {
    const response = await fetch('/api/mails', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
      body: JSON.stringify(mail),
      signal: abortSignal,
    })
    if (!response.ok) throw new Error(`The mail was refused (${response.status})`)
    return (await response.json()) as { id: string }
  },
})
// #endregion

// #region delete
const delete_mails = tool({
  title: 'Delete mails',
  description: 'Deletes mails for good',
  inputSchema: z.object({ ids: z.array(z.string().max(100)).min(1).max(50) }),
  approval: ({ ids }) => ids.length > 1, // one may go unasked
  risk: 'destructive', // "always allow" holds for the very same input alone
  serial: true, // not beside other calls of the turn
  execute: async ({ ids }, { abortSignal, progress }) => {
    for (const [done, id] of ids.entries()) {
      progress({ done, of: ids.length })
      await fetch(`/api/mails/${encodeURIComponent(id)}`, { method: 'DELETE', signal: abortSignal })
    }
    return { deleted: ids.length }
  },
})
// #endregion

// #region policy
const policy: Policy = ({ risk, toolName }, { metadata, tainted }) => {
  const { guest } = (metadata ?? {}) as { guest?: boolean } // what `send` was given for this run
  if (guest && risk !== 'safe') return { deny: 'Guests may only read.' } // told to the model
  if (tainted && toolName === 'delete_mails') return { ask: 'A mail may have asked for it.' } // told to the person
  return undefined // no word: the tool's own fields decide
}
// #endregion

// #region agent
export const clerk = defineAgent({
  name: 'mail-clerk',
  model: openai('gpt-5-mini'),
  tools: { read_mail, send_mail, delete_mails },
  toolPolicy: { read_mail: { timeout: 10_000 } }, // the agent's word takes the place of the tool's, field by field
  policy,
  approvalTimeout: 24 * 60 * 60_000, // after a day without an answer the call counts as denied
})
// #endregion

export const runtime = createRuntime(clerk)
