import type { Todo } from './todos.ts'

/** A call that was made, with what its tool said. */
export interface CallResult {
  readonly toolName: string
  readonly input: Readonly<Record<string, unknown>>
  readonly output?: unknown
  readonly error?: string
}

export const canOnly = `I can only do a few things: **sums**, **the time**, **a small to-do list**, **pretended pizzas and mails**, **web pages that are made up**, **files that you attach**, **chapters of a book** and **this page's colours**.

I am a scripted model without intelligence. I run in this tab's worker, need no network, and am here so that you can see turnloop at work: every answer streams through its loop, and every tool call is a real one.

Try one of these:

- What is 123 * 456?
- What time is it in Tokyo?
- Add milk and bread to my to-do list
- Order a pizza margherita
- Make the page teal
- Send a mail to ann@example.com: Lunch at noon?
- Read the page offers.example
- Clear my to-do list

And some that go wrong, or take long:

- Compare two topics with two helpers
- Count to 20, one call a turn
- Find my keys
- Answer after two failures
- Fail for good
- Ping the server
- Read chapter 1

For real answers choose a real model below.`

export const howItWorks = `Your message went to a **worker** of this tab. There, one loop runs until the answer is done:

1. It builds a prompt from the conversation and calls the model.
2. The answer streams to this page as events; the page renders a live view of them.
3. When the model asks for tools, the loop runs them side by side and calls the model again, with the results.

Each step is written to this browser's IndexedDB as it happens. After a reload or a crash, the run goes on from the last one. The page itself needs little more than this:

\`\`\`ts
const agent = connect<typeof runtime>(() => new Worker(url, { type: 'module' }))
const session = agent.session('trip')
session.view.subscribe(() => render(session.view.getSnapshot()))
session.send('What is 123 * 456?')
\`\`\`

While an answer streams, try what is unusual about this page:

- **Kill worker** ends the worker in mid-sentence. A new one takes its place at once, and the answer is written again.
- **Reload** the page, or close it and come back: the answer goes on by itself.
- **Open second tab** shows this same conversation as it is written. Close this tab, and the other one goes on with it.
- Say **order a pizza**, and kill the worker while it is baked. Nobody knows then whether the order went through, so you are asked.
- Write on: your message is **queued** for after this answer, or **steers** it, as you choose.
- **Edit** a message of yours, or have an answer **written again**.
- Say **send a mail to ann@example.com**: nothing leaves before you have allowed it, once or always, as it is or edited. The question outlasts a reload.
- Say **read the page offers.example**: it gives orders, which this model obeys. See who is asked.
- Say **compare tea and coffee with two helpers**: two agents work at the same time. Look into each, and stop one.
- **Attach** a file, **fork** the conversation at a message, **export** it and **import** it again.
- **Events** lists what happens, as it happens. Its tab **Run** shows tokens, cost and context, and sets limits; **Permissions** shows what you allowed, and who decided what.

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
  if (error !== undefined && toolName === 'order_pizza')
    return `I do not know whether the **${literal(String(input.pizza))}** was ordered: ${literal(error)}`
  if (error !== undefined && toolName === 'send_mail')
    return `No mail has left for **${literal(String(input.to))}**. ${literal(error)}`
  if (error !== undefined) return `That did not work, \`${toolName}\` says: ${literal(error)}`
  const fields = isRecord(output) ? output : {}
  switch (toolName) {
    case 'calculate':
      return `${literal(pretty(String(fields.expression)))} = **${literal(String(fields.value))}**`
    case 'current_time':
      return `It is **${literal(String(fields.time))}** on ${literal(String(fields.date))} (${literal(String(fields.timeZone))}).`
    case 'order_pizza':
      return `Done: **${literal(typeof output === 'string' ? output : JSON.stringify(output))}**. A pretended one, nobody comes to the door.`
    case 'read_chapter':
      return `I have read **chapter ${literal(String(input.chapter))}**: ${String(output).length.toLocaleString('en-GB')} characters, which are in my context now. See **Run** in the panel for how full it is.`
    case 'set_page_colors':
      return `Done: the page's colours are now **${literal(String(fields.color))}**, ${literal(String(fields.scheme))} scheme. The worker asked for it, the page carried it out. Say “default colours” to go back.`
    case 'complete_todo':
      return `Checked off **${literal(String(input.entry))}**.`
    case 'send_mail':
      return `Sent to **${literal(String(fields.to))}**: “${literal(String(fields.text))}”. A pretended mail, it has left for nowhere.`
    case 'read_page':
      return `**${literal(String(fields.title))}**, at ${literal(String(fields.url))}:\n\n> ${literal(String(fields.text))}`
    case 'clear_todos':
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
export const literal = (text: string) => text.replace(/[\\`*_{}[\]<>#|~@]/g, '\\$&')
