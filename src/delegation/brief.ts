interface Described {
  readonly name: string
  readonly description?: string | undefined
}

interface Bounds {
  readonly most: number
  /** Bytes (UTF-8). */
  readonly longest: number
}

const bytesOf = (text: string) => new TextEncoder().encode(text).length

/** A line for each, shortened so that all of them fit; what comes after the last that may be listed is left out, and counted. */
export function brief(all: readonly Described[], { most, longest }: Bounds): string {
  const listed = all.slice(0, most)
  const rest = all.length - listed.length
  const more = rest > 0 ? `\n(${rest} more are not listed.)` : ''
  const share = Math.floor((longest - bytesOf(more)) / Math.max(1, listed.length)) - 1
  return listed.map((one) => shortened(lineOf(one), share)).join('\n') + more
}

function lineOf({ name, description = '' }: Described): string {
  const line = description.trim().replace(/\s+/g, ' ')
  return line ? `- ${name}: ${line}` : `- ${name}`
}

/** As many whole characters as fit. */
function shortened(line: string, bytes: number): string {
  if (bytesOf(line) <= bytes) return line
  let size = bytesOf('…')
  let kept = ''
  for (const character of line) {
    size += bytesOf(character)
    if (size > bytes) break
    kept += character
  }
  return `${kept}…`
}
