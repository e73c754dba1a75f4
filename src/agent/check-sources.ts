import { AgentError } from '../errors.ts'
import type { AgentDefinition } from './define-agent.ts'

/** Refuses sources of tools that can't be asked, or told apart. */
export function checkSources({ name, toolSources = [] }: Pick<AgentDefinition, 'name' | 'toolSources'>) {
  const refuse = (problem: string) => new AgentError('invalid-argument', `Agent "${name}": ${problem}.`)
  if (!Array.isArray(toolSources)) throw refuse('toolSources must be a list')
  const names = new Set<unknown>()
  for (const source of toolSources) {
    if (!source || typeof source.name !== 'string' || !source.name || typeof source.tools !== 'function')
      throw refuse('each of its toolSources is { name, tools() }, as mcpTools({ … }) gives one')
    if (names.has(source.name)) throw refuse(`two of its toolSources are named "${source.name}": rename one of them`)
    names.add(source.name)
  }
}
