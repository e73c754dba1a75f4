// What the runtime writes around a tool's result for a model: the scripted one takes it off, as a model that reads would.

interface Heard {
  /** What a person made of the call's arguments. */
  readonly input?: Record<string, unknown>
  readonly value: unknown
}

const edit = /^The user changed the input of this call to (.*?)\. What follows is the result of that\.\n(.*)$/s
const frame = /^<untrusted>\n[^\n]*\n\n(.*)\n<\/untrusted>$/s

export function heard(output: unknown): Heard {
  if (typeof output !== 'string') return { value: output }
  const framed = frame.exec(output)?.[1]
  if (framed !== undefined) return heard(framed.replaceAll('&lt;', '<'))
  const [, input, rest] = edit.exec(output) ?? []
  if (input === undefined || rest === undefined) return { value: parsed(output) }
  const changed = parsed(input)
  return {
    ...(typeof changed === 'object' && { input: changed as Record<string, unknown> }),
    value: heard(rest).value,
  }
}

/** Objects only: a text may look like any other JSON by chance. */
function parsed(text: string): unknown {
  if (!/^[{[]/.test(text)) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
