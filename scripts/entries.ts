import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

// The entry points, read from package.json, so that build, tests and size agree with what is published.

export interface Entry {
  /** As a user imports it: `turnloop/runtime`. */
  readonly specifier: string
  /** Below src and dist, without ending: `runtime/index`. */
  readonly name: string
  readonly source: string
}

const { name, exports } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  name: string
  exports: Record<string, { default: string } | string>
}

export const entries: readonly Entry[] = Object.entries(exports).flatMap(([path, target]) => {
  if (typeof target === 'string') return [] // package.json itself
  const entry = target.default.replace(/^\.\/dist\/|\.js$/g, '')
  const source = fileURLToPath(new URL(`../src/${entry}.ts`, import.meta.url))
  return [{ specifier: name + path.slice(1), name: entry, source }]
})

/** For Vite's `resolve.alias`: tests, demo and benchmarks import turnloop by the names that users write. */
export const sourceAliases = entries.map(({ specifier, source }) => ({
  find: new RegExp(`^${specifier}$`),
  replacement: source,
}))
