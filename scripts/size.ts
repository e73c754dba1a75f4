import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build, type Rolldown } from 'vite'
import { entries, sourceAliases } from './entries.ts'

// npm run size: what an entry point adds to a user's bundle when everything in it is used. Minified by Vite, gzip -9.
// 1 KB is 1024 bytes. idb-keyval and @ai-sdk/provider (the specification's error classes) count as ours.

const KB = 1024
const onTop = 'turnloop/runtime on top of createOpenAI'
const external = ['react', 'zod', '@ai-sdk/openai', '@ai-sdk/mcp']

/** In KB, the goals. Entries without one are shown for information. */
const budgets: Readonly<Record<string, number>> = { turnloop: 6, 'turnloop/runtime': 20 }
const budgetOnTop = 20

/** In KB, for budgets that are missed: what is there today may not grow unnoticed. Above it, the script fails. */
const ceilings: Readonly<Record<string, number>> = { turnloop: 15, 'turnloop/runtime': 107, [onTop]: 107 }

interface Row {
  readonly name: string
  readonly bytes: number
  readonly budget?: number | undefined
}

const rows: Row[] = []
for (const { specifier } of entries) {
  const bytes = await bundled(`export * from '${specifier}'`, external)
  rows.push({ name: specifier, bytes, budget: budgets[specifier] })
}
const provider = `export { createOpenAI } from '@ai-sdk/openai'`
const alone = await bundled(provider)
const together = await bundled(`${provider}\nexport * from 'turnloop/runtime'`)
rows.push({ name: 'createOpenAI alone', bytes: alone })
rows.push({ name: onTop, bytes: together - alone, budget: budgetOnTop })

const width = Math.max(...rows.map(({ name }) => name.length))
const missed = rows.filter(({ bytes, budget }) => budget !== undefined && bytes > budget * KB)
console.log(`${'min+gzip, KB of 1024 bytes'.padEnd(width)}     size  budget`)
for (const row of rows) {
  const verdict =
    row.budget === undefined ? '' : `${row.budget.toFixed(1).padStart(8)}${missed.includes(row) ? '  MISSED' : ''}`
  console.log(`${row.name.padEnd(width)} ${(row.bytes / KB).toFixed(2).padStart(8)}${verdict}`)
}
if (missed.some(({ name, bytes, budget = 0 }) => bytes > (ceilings[name] ?? budget) * KB)) process.exitCode = 1

/** Bytes after min+gzip of all chunks that a module with this text becomes. */
async function bundled(text: string, external: readonly string[] = []): Promise<number> {
  const entry = '\0size-entry.ts'
  const result = (await build({
    configFile: false,
    logLevel: 'error',
    root: fileURLToPath(new URL('..', import.meta.url)),
    define: { 'process.env.NODE_ENV': '"production"' },
    resolve: { alias: [...sourceAliases] },
    plugins: [
      {
        name: 'size-entry',
        resolveId: (id) => (id === entry ? id : undefined),
        load: (id) => (id === entry ? { code: text, moduleSideEffects: true } : undefined),
      },
    ],
    build: {
      write: false,
      target: 'es2022',
      minify: true,
      modulePreload: false,
      reportCompressedSize: false,
      rolldownOptions: {
        input: entry,
        preserveEntrySignatures: 'strict',
        external: (id) => external.some((name) => id === name || id.startsWith(`${name}/`)),
      },
    },
  })) as Rolldown.RolldownOutput
  const chunks = result.output.filter((output) => output.type === 'chunk')
  if (process.env.SIZE_MODULES) showModules(chunks)
  return chunks.reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0)
}

/** `SIZE_MODULES=1 npm run size` says where the weight is: bytes per module before it is minified. */
function showModules(chunks: readonly Rolldown.OutputChunk[]): void {
  const modules = chunks.flatMap(({ modules }) => Object.entries(modules))
  modules.sort(([, a], [, b]) => b.renderedLength - a.renderedLength)
  for (const [id, { renderedLength }] of modules) console.log(`  ${String(renderedLength).padStart(8)}  ${id}`)
}
