// What can't work does not compile.
import type { LanguageModelV3, LanguageModelV4 } from '@ai-sdk/provider'
import { createRuntime, defineAgent, memoryStore, type ToolContext, tool } from 'turnloop/runtime'
import { z } from 'zod'
import { same, takes } from './same.ts'

declare const model: LanguageModelV4
declare const old: LanguageModelV3
const inputSchema = z.object({ n: z.number() })

const both = defineAgent({ name: 'both', model, tools: { one: tool({ inputSchema, execute: () => 1 }) } })
same<typeof both.name, 'both'>()
const runtime = createRuntime(both, { store: memoryStore(), model, newId: () => 'id', now: () => 0 })
takes<'both'>(runtime.info.getSnapshot().agents[0]?.name ?? 'both')
takes<readonly { readonly name: never }[]>(runtime.info.getSnapshot().models)

const named = createRuntime(defineAgent({ name: 'a', model: 'fast' }), {
  models: { fast: model, slow: ({ credentials }) => (credentials === undefined ? model : model) },
})
same<ReturnType<typeof named.info.getSnapshot>['models'][number]['name'], 'fast' | 'slow'>()
named.setCredentials({ token: 'x' })

tool({
  inputSchema,
  execute: (input, context) => {
    same<typeof context, ToolContext>()
    same<typeof input, { n: number }>()
  },
})
// A tool that checks and transforms: the model writes one thing, `execute` gets the other.
tool({
  inputSchema: z.object({ at: z.string().transform((text) => new Date(text)) }),
  execute: ({ at }) => same<typeof at, Date>(),
})

// @ts-expect-error an agent has a name
defineAgent({ model })
// @ts-expect-error and a model
defineAgent({ name: 'a' })
// @ts-expect-error of specification v4
defineAgent({ name: 'a', model: old })
// @ts-expect-error also from a function
defineAgent({ name: 'a', model: () => old })
// @ts-expect-error no such limit
defineAgent({ name: 'a', model, limits: { maxTurn: 3 } })
// @ts-expect-error no such setting
defineAgent({ name: 'a', model, settings: { temprature: 1 } })
// @ts-expect-error no such policy
defineAgent({ name: 'a', model, toolPolicy: { one: { timeOut: 1 } } })
// @ts-expect-error a tool of the page says what it gives
tool({ inputSchema })
// @ts-expect-error the outputs differ
tool({ inputSchema, outputSchema: z.string(), execute: () => 1 })
// @ts-expect-error no such input
tool({ inputSchema, execute: ({ m }) => m })
// @ts-expect-error no such field of the context
tool({ inputSchema, execute: (_, { sessonId }) => sessonId })
// @ts-expect-error an agent, not its parts
createRuntime({ name: 'a' })
// @ts-expect-error a store, not its name
createRuntime(both, { store: 'memory' })
