// What can't work does not compile.
import type { LanguageModelV4, LanguageModelV4Prompt } from '@ai-sdk/provider'
import { type AgentError, defineAgent, type HookContext, type Middleware, redact } from 'turnloop/runtime'
import { same } from './same.ts'

declare const model: LanguageModelV4

const all: Middleware = {
  name: 'all',
  timeout: 1000,
  onInput: ({ text }, context) => {
    same<typeof text, string>()
    same<typeof context, HookContext>()
    return { text }
  },
  beforeModel: async ({ messages }) => {
    same<typeof messages, LanguageModelV4Prompt>()
    return { settings: { temperature: 0 }, activeTools: [] }
  },
  afterModel: ({ text }) => ({ text }),
  beforeTool: ({ input, risk }) => {
    same<typeof input, unknown>()
    same<typeof risk, 'safe' | 'sensitive' | 'destructive'>()
    return { deny: 'no' }
  },
  afterTool: async () => ({ errorText: 'no' }),
  onEvent: (event) => {
    if (event.kind === 'text-delta') same<typeof event.delta, string>()
  },
  onError: (error) => same<typeof error, AgentError>(),
  beforeCompaction: ({ messages }) => ({ skip: messages.length < 10 }),
  afterCompaction: ({ summary }) => ({ summary }),
  onRunEnd: ({ status }) => same<typeof status, 'completed' | 'stopped' | 'failed' | 'cancelled'>(),
  onText: (text) => text.trim(),
}
defineAgent({ name: 'a', model, middleware: [all, redact({ kinds: ['email'], patterns: [/x/, 'y'] })] })

// @ts-expect-error middleware has a name
defineAgent({ name: 'a', model, middleware: [{ onInput: () => {} }] })
// @ts-expect-error and no other hooks
defineAgent({ name: 'a', model, middleware: [{ name: 'a', onOutput: () => {} }] })
// @ts-expect-error an input is text
defineAgent({ name: 'a', model, middleware: [{ name: 'a', onInput: () => ({ text: 5 }) }] })
// @ts-expect-error a text is given at once
defineAgent({ name: 'a', model, middleware: [{ name: 'a', onText: async (text) => text }] })
// @ts-expect-error
redact({ kinds: ['name'] })

defineAgent({
  name: 'a',
  model,
  onToolError: (error, { toolName, idempotent }, { attempt, signal }) => {
    same<typeof error, unknown>()
    same<typeof idempotent, boolean>()
    signal.throwIfAborted()
    if (attempt < 2) return 'retry'
    return toolName === 'a' ? { result: null } : undefined
  },
})
// @ts-expect-error one of four words, or a result
defineAgent({ name: 'a', model, onToolError: () => 'again' })
