import type { Tool, ToolSet } from '@ai-sdk/provider-utils'
import type { AgentOutputInput, AgentRunInput, AgentStopInput, DelegationResult } from './delegate-types.ts'
import type { Skill } from './skill.ts'

// biome-ignore lint/suspicious/noExplicitAny: folds a union of tool sets into one
type Merged<T> = T extends readonly any[] ? Folded<T[number]> : T
type Folded<U> = (U extends unknown ? (u: U) => void : never) extends (i: infer I) => void ? I : never

/** The one tool set of a definition; an intersection with `ToolSet` would make every string a tool's name. */
type ToolSetOf<T> = Merged<T> extends infer M extends ToolSet ? M : never

/** What is known of the tools of skills: nothing of those whose names are any strings. */
type SkillTools<S extends readonly Skill[]> = Folded<
  S[number] extends infer K ? (K extends Skill<infer T> ? (string extends keyof T ? object : T) : never) : never
>

/** The tools by which an agent starts others, as types know them: under other names than these they are dynamic. */
type DelegateTool<Input> = Tool<Input, DelegationResult> & {
  // biome-ignore lint/suspicious/noExplicitAny: the runtime carries it out, never a page
  readonly execute: (...args: any[]) => DelegationResult
}
// No interface: one is not assignable to a set of any names.
type DelegateTools = {
  readonly agent_run: DelegateTool<AgentRunInput>
  readonly agent_stop: DelegateTool<AgentStopInput>
  readonly agent_output: DelegateTool<AgentOutputInput>
}

type AddedTools<S extends readonly Skill[], D extends readonly unknown[]> = (S extends readonly []
  ? unknown
  : SkillTools<S>) &
  (D extends readonly [] ? unknown : DelegateTools)

/** The tools of an agent as types know them: its own, its skills', and those by which it starts other agents. */
export type AllTools<T, S extends readonly Skill[], D extends readonly unknown[] = readonly []> = [S, D] extends [
  readonly [],
  readonly [],
]
  ? ToolSetOf<T>
  : ToolSetOf<T> & AddedTools<S, D> extends infer M extends ToolSet
    ? M
    : never

/** What types know of the agents that a definition names itself; there is no such field. */
export type WithDelegates<D extends readonly unknown[]> = D extends readonly []
  ? unknown
  : { readonly '~delegates'?: Exclude<D[number], string> }

/** An agent, and those that it names as its delegates, and theirs. */
export type WithAgentsBelow<G> =
  | G
  | (G extends { readonly '~delegates'?: infer D } ? Below<Exclude<D, undefined>> : never)
type Below<D> = unknown extends D ? never : D extends unknown ? WithAgentsBelow<D> : never
