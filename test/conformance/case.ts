import type { ToolSet } from 'ai'
import type { LanguageModelV4CallOptions } from '@ai-sdk/provider'
import type { CallSettings } from '../../src/sessions/records.ts'
import type { Difference } from './normalise.ts'
import type { Part } from './parts.ts'

/** What a model answers and which tools there are. Both sides must make the same of it. */
export interface Case {
  /** A sentence. */
  readonly name: string
  /** The model's answers to the first input. A further input follows, so that the prompt of the next call always shows. */
  readonly answers: readonly (readonly Part[])[]
  /** Made anew for each side. */
  readonly tools?: () => ToolSet
  readonly instructions?: string
  readonly settings?: CallSettings
  /** After so many turns the first input's run stops; nothing follows then. */
  readonly maxTurns?: number
  /** Where the two differ by design, beyond what is normalised always. */
  readonly differs?: readonly Difference[]
}

/** What came of a case on one side. */
export interface Trace {
  /** What the model was asked, call by call. */
  readonly calls: readonly LanguageModelV4CallOptions[]
  readonly messages: readonly { readonly role: string; readonly parts: readonly object[] }[]
  /** Tools in the order in which they started, with their inputs. */
  readonly executions: readonly { readonly toolName: string; readonly input: unknown }[]
  /** Of each input. */
  readonly outputs: readonly Output[]
}

export interface Output {
  readonly text: string
  readonly finishReason: string | undefined
  readonly usage: {
    readonly inputTokens: number
    readonly outputTokens: number
    readonly cachedInputTokens: number
    readonly reasoningTokens: number
  }
}

/** The last answer of every case but those with `maxTurns`. */
export const inputsOf = ({ maxTurns }: Case) => (maxTurns === undefined ? ['Go', 'And now?'] : ['Go'])

/** The tools, each of which notes when it starts. */
export function noting(tools: ToolSet | undefined, executions: { toolName: string; input: unknown }[]): ToolSet | undefined {
  return (
    tools &&
    Object.fromEntries(
      Object.entries(tools).map(([toolName, tool]) => {
        const { execute } = tool
        if (!execute) return [toolName, tool]
        const noted: typeof execute = (input, options) => {
          executions.push({ toolName, input: structuredClone(input) })
          return execute(input, options)
        }
        return [toolName, { ...tool, execute: noted }]
      }),
    )
  )
}
