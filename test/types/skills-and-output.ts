// What is known of skills' tools and of structured outputs.
import type { LanguageModelV4 } from '@ai-sdk/provider'
import { connect } from 'turnloop'
import { mcpTools } from 'turnloop/mcp'
import { createRuntime, defineAgent, type RunOutput, type Skill, tool } from 'turnloop/runtime'
import { defineSkill, parseSkill } from 'turnloop/skills'
import { z } from 'zod'
import { same } from './same.ts'

declare const model: LanguageModelV4
declare const text: string
declare const anySkills: readonly Skill[]

const stamp = tool({ inputSchema: z.object({ ink: z.string() }), execute: () => 1 })
const letters = defineSkill({ name: 'letters', description: 'b', instructions: 'c', tools: { stamp } })
const plain = parseSkill(text)
const weather = z.object({ city: z.string(), celsius: z.number() })

const clerk = defineAgent({ name: 'clerk', model, skills: [letters, plain], toolSources: [mcpTools({ url: text })] })
const reporter = defineAgent({ name: 'reporter', model, tools: { look: stamp }, output: weather })
const counter = defineAgent({ name: 'counter', model, output: z.number() })

const runtime = createRuntime([clerk, reporter, counter])
const agent = connect<typeof runtime>(() => new Worker(text))
agent.on('tool-execution-finished', (event) => {
  if (event.dynamic) return
  same<typeof event.toolName, 'stamp' | 'look'>()
  if (event.toolName === 'stamp') same<typeof event.input, { ink: string }>()
})
const { output } = await agent.session('trip').send('Go').result
same<typeof output, { city: string; celsius: number } | number | undefined>()

const alone = createRuntime(clerk)
const none = await alone.session().send('Go').result
same<typeof none.output, undefined>()

const one = createRuntime(reporter)
const known = await one.session().send('Go').stop()
same<typeof known.output, { city: string; celsius: number } | undefined>()
const asked: Promise<string> = one.session().ask('Go')
const anyOutput: RunOutput = known
void [asked, anyOutput]

// Skills that are known at run time only make no tool's name a known one.
const late = createRuntime(defineAgent({ name: 'late', model, tools: { look: stamp }, skills: anySkills }))
late.on('tool-execution-started', (event) => {
  if (!event.dynamic) same<typeof event.toolName, 'look'>()
})

// @ts-expect-error a skill has instructions
defineSkill({ name: 'a', description: 'b' })
// @ts-expect-error skills, not their names
defineAgent({ name: 'a', model, skills: ['letters'] })
// @ts-expect-error a schema, not what it describes
defineAgent({ name: 'a', model, output: { city: 'Porto' } })
// @ts-expect-error a server has an address
mcpTools({ name: 'a' })
