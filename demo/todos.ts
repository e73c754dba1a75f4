import { createStore, del, get, update } from 'idb-keyval'

export interface Todo {
  readonly text: string
  readonly done: boolean
}

// One list per conversation, in a small database of the demo's own: it outlives the worker. `update` reads and writes in
// one transaction, so that calls of one turn, which run side by side, don't overwrite each other.

let store: ReturnType<typeof createStore> | undefined
const database = () => {
  store ??= createStore('turnloop-demo-todos', 'lists')
  return store
}

export const listTodos = async (sessionId: string): Promise<Todo[]> => (await get<Todo[]>(sessionId, database())) ?? []

export const deleteTodos = (sessionId: string): Promise<void> => del(sessionId, database())

export async function addTodo(sessionId: string, text: string): Promise<Todo[]> {
  return change(sessionId, (todos) => [...todos, { text, done: false }])
}

export const clearTodos = (sessionId: string): Promise<Todo[]> => change(sessionId, () => [])

/** Checks off the entry with this text or number (from 1), or the only one that contains the text. */
export async function completeTodo(sessionId: string, entry: string): Promise<Todo[]> {
  return change(sessionId, (todos) => {
    const index = find(todos, entry)
    if (index < 0)
      throw new Error(`There is no to-do "${entry}". There are: ${todos.map(({ text }) => text).join(', ') || 'none'}`)
    return todos.map((todo, at) => (at === index ? { ...todo, done: true } : todo))
  })
}

async function change(sessionId: string, edit: (todos: Todo[]) => Todo[]): Promise<Todo[]> {
  let edited: Todo[] = []
  let refused: unknown
  await update<Todo[]>(
    sessionId,
    (todos = []) => {
      edited = todos
      try {
        edited = edit(todos)
      } catch (error) {
        refused = error
      }
      return edited
    },
    database(),
  )
  if (refused) throw refused
  return edited
}

function find(todos: readonly Todo[], entry: string): number {
  const wanted = entry.trim().toLowerCase()
  const exact = todos.findIndex(({ text }) => text.toLowerCase() === wanted)
  if (exact >= 0) return exact
  const number = /^#?(\d+)$/.exec(wanted)
  if (number) return Number(number[1]) <= todos.length ? Number(number[1]) - 1 : -1
  const containing = todos.flatMap(({ text }, at) => (text.toLowerCase().includes(wanted) ? [at] : []))
  return containing.length === 1 ? (containing[0] ?? -1) : -1
}
