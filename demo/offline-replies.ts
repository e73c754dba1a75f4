import type { Todo } from './todos.ts'

/** A call that was made, with what its tool said. */
export interface CallResult {
  readonly toolName: string
  readonly input: Readonly<Record<string, unknown>>
  readonly output?: unknown
  readonly error?: string
}

export const canOnly = `I can only do four things: **sums**, **the time**, **a small to-do list** and **this page's colours**.

I am a scripted model without intelligence. I run in this tab's worker, need no network, and am here so that you can see turnloop at work: every answer streams through its loop, and every tool call is a real one.

Try one of these:

- What is 123 * 456?
- What time is it in Tokyo?
- Add milk and bread to my to-do list
- Make the page teal

For real answers choose a real model below.`

export const howItWorks = `Your message went to a **worker** of this tab. There, one loop runs until the answer is done:

1. It builds a prompt from the conversation and calls the model.
2. The answer streams to this page as events; the page renders a live view of them.
3. When the model asks for tools, the loop runs them side by side and calls the model again, with the results.

Each step is written to this browser's IndexedDB as it happens, so a reload loses nothing that was saved. The page itself needs little more than this:

\`\`\`ts
const agent = connect<typeof runtime>(() => new Worker(url, { type: 'module' }))
const session = agent.session('trip')
session.view.subscribe(() => render(session.view.getSnapshot()))
session.send('What is 123 * 456?')
\`\`\`

While an answer streams, try what is unusual about this page:

- **Kill worker** ends the worker in mid-sentence. What was saved stays, the answer is marked as interrupted, and your next message starts a new worker.
- **Open second tab** shows this same conversation, from the same storage.
- **Events** lists what happens, as it happens.

There is no server behind all this beyond the one that delivered the page.`

/** The answer to the results of a turn's calls. */
export function answerTo(results: readonly CallResult[]): string {
  const added = results.filter(({ toolName, error }) => toolName === 'add_todo' && error === undefined)
  const names = added.map(({ input }) => `**${literal(String(input.text))}**`)
  const told = results.filter((result) => !added.includes(result)).map(sentence)
  if (names.length) told.push(`Added ${new Intl.ListFormat('en-GB').format(names)}.`)
  const todos = lastTodos(results)
  if (todos) told.push(showTodos(todos))
  return told.filter(Boolean).join('\n\n')
}

function sentence({ toolName, input, output, error }: CallResult): string {
  if (error !== undefined) return `That did not work, \`${toolName}\` says: ${literal(error)}`
  const fields = isRecord(output) ? output : {}
  switch (toolName) {
    case 'calculate':
      return `${literal(pretty(String(fields.expression)))} = **${literal(String(fields.value))}**`
    case 'current_time':
      return `It is **${literal(String(fields.time))}** on ${literal(String(fields.date))} (${literal(String(fields.timeZone))}).`
    case 'set_page_colors':
      return `Done: the page's colours are now **${literal(String(fields.color))}**, ${literal(String(fields.scheme))} scheme. The worker asked for it, the page carried it out. Say “default colours” to go back.`
    case 'complete_todo':
      return `Checked off **${literal(String(input.entry))}**.`
    case 'list_todos':
      return ''
    default:
      return `\`${toolName}\` is done.`
  }
}

// Calls of one turn run side by side: the longest list is the one that has them all.
function lastTodos(results: readonly CallResult[]): readonly Todo[] | undefined {
  const lists = results.flatMap(({ output }) =>
    isRecord(output) && Array.isArray(output.todos) ? [output.todos as Todo[]] : [],
  )
  const weight = (todos: readonly Todo[]) => todos.length + todos.filter(({ done }) => done).length
  return lists.sort((a, b) => weight(b) - weight(a))[0]
}

function showTodos(todos: readonly Todo[]): string {
  if (!todos.length) return 'Your to-do list is empty. Say “add milk to my to-do list”.'
  const lines = todos.map(({ text, done }) => `- [${done ? 'x' : ' '}] ${literal(text)}`)
  return `${lines.join('\n')}\n\nThe list belongs to this conversation and is kept in this browser only.`
}

const pretty = (expression: string) =>
  expression
    .replace(/\s*([*/+^%]|(?<=[\d)]\s*)-)\s*/g, ' $1 ')
    .replaceAll('*', '×')
    .replaceAll('/', '÷')
    .replace(/ \^ /g, '^')

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/** Text from a person or a tool, so that Markdown shows it as it is. */
const literal = (text: string) => text.replace(/[\\`*_{}[\]<>#|~]/g, '\\$&')
