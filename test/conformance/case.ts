import type { LanguageModelV4CallOptions } from '@ai-sdk/provider'
import type { ModelMessage, ToolSet } from 'ai'
import type { CallSettings, Usage } from '../../src/runtime/index.ts'
import { answer, type Part, text } from './parts.ts'

/** What a model answers and which tools there are: both sides must make the same of it. */
export interface Case {
  /** A sentence. */
  readonly name: string
  /** The model's answers to the first input. A second input follows, so that the prompt of the next call always shows. */
  readonly answers: readonly (readonly Part[])[]
  /** What the AI SDK gets instead, where it can't take these. */
  readonly answersForReference?: readonly (readonly Part[])[]
  /** No second input follows: the AI SDK could not go on from here. */
  readonly alone?: true
  /** Made anew for each side. */
  readonly tools?: () => ToolSet
  readonly instructions?: string
  readonly settings?: CallSettings
  /** After so many turns the run is stopped; nothing follows then. */
  readonly maxTurns?: number
  /** Where the two differ by design, beyond what is normalised always. */
  readonly differs?: readonly Difference[]
}

export type Difference =
  /** The AI SDK downloads them at once. turnloop keeps the URL, as a page can rarely download it. */
  | 'generated files by URL'
  /** The AI SDK leaves them open, and its next call would fail. turnloop gives them a result that says so. */
  | 'calls that are not carried out'

/** What came of a case on one side. */
export interface Trace {
  /** What the model was asked, call by call. */
  readonly calls: readonly LanguageModelV4CallOptions[]
  readonly messages: readonly { readonly role: string; readonly parts: readonly object[] }[]
  /** Tools in the order in which they started. */
  readonly executions: readonly Execution[]
  /** Of each input. */
  readonly outputs: readonly Output[]
}

export interface Execution {
  readonly toolName: string
  readonly toolCallId: string
  readonly input: unknown
  /** The conversation as the tool was told it. */
  readonly messages: readonly ModelMessage[]
}

export interface Output {
  readonly text: string
  readonly finishReason: string | undefined
  readonly usage: Usage
  readonly capped: boolean
}

export const inputsOf = ({ alone, maxTurns }: Case) => (alone || maxTurns !== undefined ? ['Go'] : ['Go', 'And now?'])

/** With the answer to the second input. */
export const script = (answers: Case['answers']) => [...answers, answer(text('0', 'Done.'))]

/** The tools, each of which notes when it starts. */
export function noting(tools: ToolSet | undefined, executions: Execution[]): ToolSet | undefined {
  if (!tools) return undefined
  const noted = Object.entries(tools).map(([toolName, tool]): [string, ToolSet[string]] => {
    const { execute } = tool
    if (!execute) return [toolName, tool]
    const noteAndExecute: typeof execute = (input, options) => {
      const { toolCallId, messages } = options
      executions.push({ toolName, toolCallId, input: structuredClone(input), messages: [...messages] })
      return execute(input, options)
    }
    return [toolName, { ...tool, execute: noteAndExecute } as ToolSet[string]]
  })
  return Object.fromEntries(noted)
}
