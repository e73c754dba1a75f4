import { AgentError } from '../errors.ts'
import type { AgentDefinition } from './define-agent.ts'
import type { Middleware } from './middleware.ts'

const hooks: { readonly [H in Exclude<keyof Middleware, 'name' | 'timeout'>]-?: true } = {
  onInput: true,
  beforeModel: true,
  afterModel: true,
  beforeTool: true,
  afterTool: true,
  onEvent: true,
  onError: true,
  beforeCompaction: true,
  afterCompaction: true,
  onRunEnd: true,
  onText: true,
}

/** Refuses middleware that would not be called as it is meant. */
export function checkMiddleware({ name: agent, middleware = [] }: Pick<AgentDefinition, 'name' | 'middleware'>) {
  const refuse = (problem: string) => new AgentError('invalid-argument', `Agent "${agent}": ${problem}.`)
  if (!Array.isArray(middleware)) throw refuse('middleware must be a list')
  const names = new Set<string>()
  for (const each of middleware as readonly (Middleware | null | undefined)[]) {
    const { name, timeout = 1 } = each ?? {}
    if (!each || typeof name !== 'string' || !name) throw refuse('give each middleware a `name`')
    const where = `middleware "${name}"`
    if (names.has(name)) throw refuse(`${where} is there twice: rename one`)
    names.add(name)
    if (!(typeof timeout === 'number' && timeout > 0)) throw refuse(`${where}: timeout must be milliseconds above 0`)
    for (const key of Object.keys(each))
      if (key !== 'name' && key !== 'timeout' && !Object.hasOwn(hooks, key))
        throw refuse(`${where}: "${key}" is no hook. The hooks are ${Object.keys(hooks).join(', ')}`)
    for (const hook of Object.keys(hooks) as (keyof typeof hooks)[])
      if (each[hook] !== undefined && typeof each[hook] !== 'function')
        throw refuse(`${where}: ${hook} must be a function`)
  }
}
