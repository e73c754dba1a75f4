import type { CallRecord, ModelOutput, ToolResultRecord } from '../sessions/records.ts'

/** Characters of an input that are told. */
const longestInput = 2000

/** The result; where a person changed the input of the call, the model is told so before it. */
export function withEdit({ edited, input }: CallRecord, result: ToolResultRecord): ToolResultRecord {
  if (edited !== 'person') return result
  const json = JSON.stringify(input)
  const shown = json.length > longestInput ? `${json.slice(0, longestInput)}…` : json
  const lead = `The user changed the input of this call to ${shown}. What follows is the result of that.\n`
  return { ...result, modelOutput: led(result.modelOutput, lead) }
}

function led(output: ModelOutput, lead: string): ModelOutput {
  switch (output.type) {
    case 'text':
    case 'error-text':
      return { ...output, value: lead + output.value }
    case 'json':
    case 'error-json':
      return {
        ...output,
        type: output.type === 'json' ? 'text' : 'error-text',
        value: lead + JSON.stringify(output.value),
      }
    case 'content':
      return { ...output, value: [{ type: 'text', text: lead }, ...output.value] }
    case 'execution-denied':
      return { ...output, reason: lead + (output.reason ?? '') }
  }
}
