// What tests read of the documents: their code, their tables, their links.

export interface CodeBlock {
  readonly language: string
  /** Without the indentation of the fence. */
  readonly code: string
  /** Of the fence, from 1. */
  readonly line: number
}

export function codeBlocks(markdown: string): CodeBlock[] {
  const blocks: CodeBlock[] = []
  let open: { indent: string; language: string; line: number; lines: string[] } | undefined
  for (const [index, line] of markdown.split('\n').entries()) {
    const fence = /^(\s*)```(\w*)\s*$/.exec(line)
    if (open && fence) {
      const { language, lines } = open
      blocks.push({ language, code: lines.join('\n'), line: open.line })
      open = undefined
    } else if (open) {
      open.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line)
    } else if (fence) {
      open = { indent: fence[1] ?? '', language: fence[2] ?? '', line: index + 1, lines: [] }
    }
  }
  if (open) throw new Error(`The code block of line ${open.line} has no end`)
  return blocks
}

/** The text without its code blocks. */
export function prose(markdown: string): string {
  return markdown.replace(/^\s*```[\s\S]*?^\s*```\s*$/gm, '')
}

/** The cells of all table rows, without header and rule. */
export function tableRows(markdown: string): string[][] {
  const lines = prose(markdown).split('\n')
  return lines
    .filter(
      (line, at) => line.startsWith('|') && !/^\|[-| ]+\|$/.test(line) && !/^\|[-| ]+\|$/.test(lines[at + 1] ?? ''),
    )
    .map((line) =>
      line
        .slice(1, -1)
        .split(' | ')
        .map((cell) => cell.trim()),
    )
}

/** The words in backticks. */
export const codeWords = (text = '') => [...text.matchAll(/`([^`]+)`/g)].map(([, word]) => word as string)

/** What may stand in a document of an example's file: the whole of it, and each of its regions. */
export function excerpts(source: string): Map<string, string> {
  const isMark = (line: string) => /^\s*\/\/ #(end)?region\b/.test(line)
  const lines = source.trimEnd().split('\n')
  const found = new Map<string, string>()
  for (const [start, line] of lines.entries()) {
    const name = /^\s*\/\/ #region (\S+)$/.exec(line)?.[1]
    if (name === undefined) continue
    const length = lines.slice(start).findIndex((other) => /^\s*\/\/ #endregion$/.test(other))
    if (length < 0) throw new Error(`The region "${name}" has no end`)
    if (found.has(name)) throw new Error(`Two regions are named "${name}"`)
    found.set(name, dedent(lines.slice(start, start + length).filter((other) => !isMark(other))))
  }
  // Where there are regions, they are what is shown.
  if (found.size === 0) found.set('', dedent(lines))
  return found
}

function dedent(lines: readonly string[]): string {
  const indents = lines.filter((line) => line.trim()).map((line) => line.length - line.trimStart().length)
  return lines
    .map((line) => line.slice(Math.min(...indents)))
    .join('\n')
    .trimEnd()
}

/** The anchors that GitHub makes of a document's headings. */
export function anchors(markdown: string): Set<string> {
  const headings = prose(markdown).matchAll(/^#+ (.+)$/gm)
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  )
}

export const links = (markdown: string) =>
  [...prose(markdown).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target as string)
