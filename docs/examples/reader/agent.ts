import { createOpenAI } from '@ai-sdk/openai'
import { defineAgent, tool } from 'turnloop/runtime'
import { z } from 'zod'

const openai = createOpenAI({ baseURL: '/api/openai', apiKey: 'the proxy adds it' })

// #region page
const known = new Set(['example.org', 'www.example.org'])
const hostOf = ({ url }: { url: string }) => new URL(url).hostname

const read_page = tool({
  title: 'Read a web page',
  description: 'Gives the text of a web page',
  inputSchema: z.object({ url: z.string().max(2000).startsWith('https://').refine(URL.canParse, 'must be a URL') }),
  untrusted: true, // strangers wrote it
  egress: true, // an address can carry words away
  approval: (input) => !known.has(hostOf(input)), // any other host is asked about
  actionKey: hostOf,
  idempotent: true,
  execute: async ({ url }, { abortSignal }) => {
    const response = await fetch(url, { signal: abortSignal, credentials: 'omit', redirect: 'error' })
    if (!response.ok) throw new Error(`The page could not be read (${response.status})`)
    return response.text()
  },
})
// #endregion

// #region photo
const photo = tool({
  description: 'Shows a photo of the archive',
  inputSchema: z.object({ name: z.string().max(100) }),
  outputSchema: z.object({ mediaType: z.string(), base64: z.string() }), // for the user interface
  idempotent: true,
  execute: async ({ name }, { abortSignal }) => {
    const response = await fetch(`/api/photos/${encodeURIComponent(name)}`, { signal: abortSignal })
    if (!response.ok) throw new Error(`There is no photo "${name}" (${response.status})`)
    return await response.json()
  },
  toModelOutput: ({ output: { mediaType, base64 } }) => ({
    type: 'content', // for the model
    value: [{ type: 'file', mediaType, data: { type: 'data', data: base64 } }],
  }),
})
// #endregion

export const reader = defineAgent({ name: 'reader', model: openai('gpt-5-mini'), tools: { read_page, photo } })
