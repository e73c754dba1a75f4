import type { ToolSet } from '@ai-sdk/provider-utils'
import { loadSkillName } from '../agent/load-skill.ts'
import type { Skill } from '../agent/skill.ts'
import type { MessageRecord, ToolResultRecord } from '../sessions/records.ts'
import type { Run } from './run.ts'
import { idleDelegateTools } from './told-children.ts'

// Which skills are loaded stands in the history alone: a reload finds them there, and what is rewound is not loaded.

/** Characters that the list of skills may have in the system prompt. */
const longestList = 20_000

type SkillRun = Pick<Run, 'agent' | 'history' | 'tools' | 'children' | 'record' | 'env'>

/** The skills that the model has loaded, in its order. */
const loadedSkills = ({ agent, history }: SkillRun): readonly Skill[] => skillsIn(agent, history)

/** Those that were loaded in these messages; another agent of the session may have skills of the same names. */
function skillsIn({ name: agent, skills = [] }: Run['agent'], messages: readonly MessageRecord[]): readonly Skill[] {
  if (skills.length === 0) return skills
  const names = new Set(
    messages.flatMap((message) =>
      message.role === 'tool' && message.agent === agent ? message.results.flatMap(loadedBy) : [],
    ),
  )
  return skills.filter(({ name }) => names.has(name))
}

function loadedBy({ toolName, outcome, output }: ToolResultRecord): string[] {
  if (toolName !== loadSkillName || outcome !== 'success' || typeof output !== 'object' || output === null) return []
  const { name } = output as { readonly name?: unknown }
  return typeof name === 'string' ? [name] : []
}

const toldSets = new WeakMap<ToolSet, Map<string, ToolSet>>()

/** The tools that the model is told of: without those of skills that it hasn't loaded, and of agents where it may start none. The same set as long as nothing changes. */
export function toldTools(run: SkillRun): ToolSet {
  const { agent, tools } = run
  const loaded = loadedSkills(run)
  const unloaded = (agent.skills ?? []).filter((skill) => skill.tools && !loaded.includes(skill))
  const idle = idleDelegateTools(run)
  if (unloaded.length === 0 && idle.length === 0) return tools
  const sets = toldSets.get(tools) ?? new Map<string, ToolSet>()
  toldSets.set(tools, sets)
  const key = [...unloaded.map(({ name }) => name), ...idle].join()
  let told = sets.get(key)
  if (!told) {
    const hidden = new Set([...unloaded.flatMap((skill) => Object.keys(skill.tools ?? {})), ...idle])
    told = Object.fromEntries(Object.entries(tools).filter(([name]) => !hidden.has(name)))
    sets.set(key, told)
  }
  return told
}

/** What is said of skills in the system prompt, beside the agent's own words: what there are, and what `restated` ones teach. */
export function withSkills(
  { agent }: SkillRun,
  instructions: string | undefined,
  restated: readonly Skill[],
): string | undefined {
  const { skills = [] } = agent
  if (skills.length === 0) return instructions
  const whole = restated.map(({ name, instructions: text }) => `The skill "${name}", which you have loaded:\n\n${text}`)
  return [...(instructions ? [instructions] : []), listOf(skills), ...whole].join('\n\n')
}

function listOf(skills: readonly Skill[]): string {
  const share = Math.floor(longestList / skills.length)
  const lines = skills.map(({ name, description }) => `- ${name}: ${brief(description, share)}`)
  return `There are skills: know-how for certain tasks. Before you work on such a task, load its skill with ${loadSkillName}.\n${lines.join('\n')}`
}

function brief(description: string, longest: number): string {
  const line = description.trim().replace(/\s+/g, ' ')
  return line.length > longest ? `${line.slice(0, longest - 1)}…` : line
}

/** Loaded skills whose instructions are not in the messages that the model is told: the message that had them has gone. */
export function forgottenSkills(run: SkillRun, told: readonly MessageRecord[]): readonly Skill[] {
  const loaded = loadedSkills(run)
  if (loaded.length === 0) return loaded
  const there = skillsIn(run.agent, told)
  return loaded.filter((skill) => !there.includes(skill))
}
