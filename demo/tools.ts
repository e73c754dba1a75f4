import { tool } from 'turnloop/runtime'
import { z } from 'zod'
import { calculate } from './calculate.ts'
import { chapterOf } from './chapters.ts'
import { orderPizza } from './order-pizza.ts'
import { sendMail } from './send-mail.ts'
import { addTodo, clearTodos, completeTodo, listTodos } from './todos.ts'
import { readPage } from './web-pages.ts'

/** What the agent of the demo can do. */
export const tools = {
  calculate: tool({
    description: 'Calculates an arithmetic expression with + - * / % ^ ( ) and sqrt()',
    inputSchema: z.object({ expression: z.string().max(1000) }),
    idempotent: true,
    execute: ({ expression }) => ({ expression, value: calculate(expression) }),
  }),
  current_time: tool({
    description: 'The current date and time, in the given IANA time zone or else in the user’s',
    inputSchema: z.object({ timeZone: z.string().max(100).optional() }),
    idempotent: true,
    execute: ({ timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone }) => {
      const now = new Date()
      return {
        time: now.toLocaleTimeString('en-GB', { timeZone, timeStyle: 'short' }),
        date: now.toLocaleDateString('en-GB', { timeZone, dateStyle: 'full' }),
        timeZone,
      }
    },
  }),
  add_todo: tool({
    description: 'Adds an entry to the to-do list of this conversation',
    inputSchema: z.object({ text: z.string().min(1).max(500) }),
    execute: async ({ text }, { sessionId }) => ({ todos: await addTodo(sessionId, text) }),
  }),
  list_todos: tool({
    description: 'The to-do list of this conversation',
    inputSchema: z.object({}),
    idempotent: true,
    execute: async (_, { sessionId }) => ({ todos: await listTodos(sessionId) }),
  }),
  complete_todo: tool({
    description: 'Checks off an entry of the to-do list, named by its text or its number from 1',
    inputSchema: z.object({ entry: z.string().min(1).max(500) }),
    idempotent: true,
    execute: async ({ entry }, { sessionId }) => ({ todos: await completeTodo(sessionId, entry) }),
  }),
  clear_todos: tool({
    description: 'Removes all entries from the to-do list of this conversation, for good',
    inputSchema: z.object({}),
    approval: 'always',
    risk: 'destructive',
    idempotent: true,
    execute: async (_, { sessionId }) => ({ todos: await clearTodos(sessionId) }),
  }),
  // asks each time, unless mails to this address were allowed for good
  send_mail: tool({
    description: 'Sends a mail. A pretended one',
    inputSchema: z.object({ to: z.email().max(200), text: z.string().min(1).max(5000) }),
    approval: 'always',
    actionKey: ({ to }) => to.toLowerCase(),
    egress: true,
    execute: sendMail,
  }),
  // others write it: from then on whatever leaves is asked about, whatever was allowed before
  read_page: tool({
    description: 'Reads a page of the web, by its address. A pretended web',
    inputSchema: z.object({ url: z.string().min(1).max(500) }),
    untrusted: true,
    idempotent: true,
    execute: readPage,
  }),
  // not idempotent: one that was cut off is never ordered again before somebody has said so
  order_pizza: tool({
    description: 'Orders a pizza. A pretended order, that takes its time',
    inputSchema: z.object({ pizza: z.string().min(1).max(100) }),
    execute: orderPizza,
  }),
  read_chapter: tool({
    description: 'Reads a chapter of the book aloud, by its number from 1',
    inputSchema: z.object({ chapter: z.coerce.number().int().min(1).max(99) }),
    idempotent: true,
    execute: ({ chapter }) => chapterOf(chapter),
  }),
  // what it says never changes: whoever calls it again and again is in a loop
  look_for_keys: tool({
    description: 'Looks for the lost keys in a place',
    inputSchema: z.object({ place: z.string().min(1).max(100) }),
    idempotent: true,
    execute: ({ place }) => ({ place, found: false }),
  }),
  // without `execute`: the page carries it out
  set_page_colors: tool({
    description: 'Changes the colours of the page that the user looks at',
    inputSchema: z.object({
      color: z.string().max(100).optional().describe('The tint: any CSS colour, or "default"'),
      scheme: z.enum(['light', 'dark', 'system']).optional(),
    }),
    outputSchema: z.object({ color: z.string(), scheme: z.string() }),
  }),
}
