import { mailIntents, pageIntents } from './offline-outside-intents.ts'

/** A tool call that a message asks for. */
export interface Intent {
  readonly toolName: string
  readonly input: Readonly<Record<string, string>>
}

/** What a message asks for, as tool calls, in its order; none where it asks for nothing that the demo's tools do. */
export function intentsOf(message: string): Intent[] {
  return message
    .split(
      /[?;!\n]+|\.(?=\s|$)|,?\s+and\s+(?=(?:what|add|put|show|list|make|turn|set|paint|change|complete|mark|tell|remind|order|send|read|clear|how)\b)/i,
    )
    .map((clause) => clause.trim())
    .filter(Boolean)
    .flatMap(
      (clause) =>
        mailIntents(clause) ??
        pageIntents(clause) ??
        todoIntents(clause) ??
        pizzaIntents(clause) ??
        chapterIntents(clause) ??
        colorIntents(clause) ??
        sumIntents(clause) ??
        timeIntents(clause) ??
        [],
    )
}

const list = String.raw`(?:(?:my|the|our|a)\s+)?(?:(?:to-?\s?do|task|shopping)s?\s+list|list|to-?\s?dos?|tasks)`
const adding = [
  new RegExp(String.raw`\b(?:add|put|write)\s+(.+?)\s+(?:to|on|onto|in|into)\s+${list}`, 'i'),
  /\b(?:add|new|create)\s+(?:an?\s+)?(?:to-?\s?do|task)(?:\s+item)?\s*:?\s+(?:to\s+)?(.+)/i,
  /\bremind me to\s+(.+)/i,
  /^to-?\s?do\s*:\s*(.+)/i,
]
const completing = [
  /\b(?:complete|finish|check off|tick off|cross off)\s+(.+)/i,
  /\bmark\s+(.+?)\s+(?:as\s+)?(?:done|complete[d]?|finished)/i,
  /\bI(?:'ve| have)?\s+(?:did|done|finished)\s+(.+)/i,
  /^(.+?)\s+is\s+done$/i,
]

const clearing = new RegExp(String.raw`\b(?:clear|empty|delete|erase|wipe)\s+${list}`, 'i')

function todoIntents(clause: string): Intent[] | undefined {
  if (clearing.test(clause)) return [{ toolName: 'clear_todos', input: {} }]
  const added = firstMatch(clause, adding)
  if (added) {
    const entries = added
      .split(/\s*,\s*(?:and\s+)?|\s+and\s+/)
      .map(plain)
      .filter(Boolean)
    return entries.map((text) => ({ toolName: 'add_todo', input: { text } }))
  }
  const completed = firstMatch(clause, completing)
  if (completed) {
    const entry = completed.replace(new RegExp(String.raw`\s+(?:on|from|in)\s+${list}.*$`, 'i'), '')
    return [
      {
        toolName: 'complete_todo',
        input: { entry: plain(entry.replace(/^(?:the\s+)?(?:to-?\s?do|task|item)\s+/i, '')) },
      },
    ]
  }
  if (/\b(?:to-?\s?dos?|tasks?|shopping list|my list|the list)\b/i.test(clause))
    return [{ toolName: 'list_todos', input: {} }]
  return undefined
}

function pizzaIntents(clause: string): Intent[] | undefined {
  const named =
    /\b(?:order|bake|get|want|like)\b.*?\b(?:an?|one|the)\s+(.*?)\s*\bpizza\b\s*(?:with\s+)?(.*)$/i.exec(clause) ??
    /\border\s+(.*?)\s*\bpizza\b\s*(.*)$/i.exec(clause)
  if (!named) return undefined
  const pizza = [named[1], named[2]?.replace(/\b(?:for me|please|now)\b/gi, '')].map((words) => plain(words ?? ''))
  return [{ toolName: 'order_pizza', input: { pizza: pizza.filter(Boolean).join(' ') || 'margherita' } }]
}

function chapterIntents(clause: string): Intent[] | undefined {
  const chapter = /\bchapter\s+(\d{1,2})\b/i.exec(clause)?.[1]
  return chapter ? [{ toolName: 'read_chapter', input: { chapter } }] : undefined
}

// The CSS names that people use; a hex value or a colour function passes as it is.
const names =
  'aqua|aquamarine|azure|beige|black|blue|brown|chocolate|coral|crimson|cyan|fuchsia|gold|gray|green|grey|hotpink|indigo|ivory|khaki|lavender|lime|magenta|maroon|mint|navy|olive|orange|orchid|peach|pink|plum|purple|red|rose|salmon|sienna|silver|skyblue|slate|tan|teal|tomato|turquoise|violet|white|yellow'
const notCss: Record<string, string> = { mint: '#5fc9a4', peach: '#ffb48a', rose: '#e8567f', slate: '#64748b' }
const color = new RegExp(
  String.raw`#[\da-f]{6}\b|#[\da-f]{3}\b|\b(?:rgb|hsl|oklch|oklab|lab|lch)a?\([^)]*\)|\b(?:${names})\b`,
  'i',
)
const suggestions = ['teal', 'coral', 'indigo', 'gold', 'orchid']

function colorIntents(clause: string): Intent[] | undefined {
  const toolName = 'set_page_colors'
  const aboutPage = /\b(?:pages?|background|colou?rs?|theme|mode|website|site|screen|everything)\b/i.test(clause)
  if (aboutPage && /\b(?:default|normal|original|reset|system|back)\b/i.test(clause)) {
    return [{ toolName, input: { color: 'default', scheme: 'system' } }]
  }
  const named = color.exec(clause)?.[0].toLowerCase()
  const scheme = aboutPage ? /\b(dark|light)\b/i.exec(clause)?.[1]?.toLowerCase() : undefined
  if (!named && !scheme) {
    if (!/\bcolou?rs?\b|\btheme\b/i.test(clause) || !aboutPage) return undefined
    return [{ toolName, input: { color: suggestions[clause.length % suggestions.length] ?? 'teal' } }]
  }
  if (named && !aboutPage && !/\b(?:make|turn|paint|set|go|change)\b/i.test(clause)) return undefined
  return [{ toolName, input: { ...(named && { color: notCss[named] ?? named }), ...(scheme && { scheme }) } }]
}

function sumIntents(clause: string): Intent[] | undefined {
  const sum = clause
    .replace(/(?<=\d),(?=\d{3}\b)/g, '')
    .replace(/\bsquare root of\s+(\d+(?:\.\d+)?)/gi, 'sqrt($1)')
    .replace(/(\d+(?:\.\d+)?)\s*(?:%|percent)\s*of\b/gi, '$1 / 100 *')
    .replace(/\b(?:to the power of)\b|\*\*/gi, '^')
    .replace(/\bsquared\b/gi, '^ 2')
    .replace(/\b(?:multiplied by|times)\b|[×·]|(?<=[\d)]\s*)x(?=\s*[\d(])/gi, '*')
    .replace(/\bdivided by\b|÷/gi, '/')
    .replace(/\bplus\b/gi, '+')
    .replace(/\bminus\b|[−–]/gi, '-')
  const found = sum.match(/(?:sqrt|[-\d.(])(?:sqrt|[\d\s.+\-*/^%()])*[\d)]/g) ?? []
  const expressions = found.map((text) => text.trim()).filter((text) => /\d\s*\)*\s*[-+*/^%]|sqrt/.test(text))
  return expressions.length
    ? expressions.map((expression) => ({ toolName: 'calculate', input: { expression } }))
    : undefined
}

function timeIntents(clause: string): Intent[] | undefined {
  if (!/\b(?:time|date|clock|day is it|today)\b/i.test(clause)) return undefined
  const words = ` ${clause.toLowerCase().replace(/[^\p{L}]+/gu, ' ')} `
  const timeZone = Intl.supportedValuesOf('timeZone').find((zone) => {
    const city = zone.split('/').slice(1).at(-1)
    return city !== undefined && words.includes(` ${city.replaceAll('_', ' ').toLowerCase()} `)
  })
  return [{ toolName: 'current_time', input: timeZone ? { timeZone } : {} }]
}

const firstMatch = (text: string, patterns: readonly RegExp[]) =>
  patterns.map((pattern) => pattern.exec(text)?.[1]).find(Boolean)

const plain = (text: string) => text.trim().replace(/^["'“‘«]+|["'”’».]+$/g, '')
