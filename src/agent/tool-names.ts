const toolNames = /^[a-zA-Z0-9_-]{1,64}$/

/** What providers take as a tool's name. `__proto__` would be nobody's own. */
export const isToolName = (name: string): boolean => toolNames.test(name) && name !== '__proto__'

/** A name that a model made up, as one that providers take when it is told to them again. */
export const toToolName = (name: string): string =>
  toolNames.test(name) ? name : name.slice(0, 64).replace(/[^a-zA-Z0-9-]/g, '-') || '-'
