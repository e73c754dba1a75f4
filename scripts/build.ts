import { spawnSync } from 'node:child_process'
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

// npm run build: dist/ as it is published. One JavaScript module and one declaration per source file.

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)

rmSync('dist', { recursive: true, force: true })
await build({ configFile: 'vite.config.ts', logLevel: 'warn' })

const tsc = fileURLToPath(new URL('./bin/tsc', import.meta.resolve('typescript/package.json')))
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { stdio: 'inherit' })
if (status !== 0) process.exit(1)
for (const file of globSync('dist/**/*.d.ts')) writeFileSync(file, publishable(readFileSync(file, 'utf8')))

/**
 * tsc leaves `.ts` endings in declarations, which other tools than TypeScript refuse, and drops the lib reference, without
 * which a user's `lib: ["es2022", "dom"]` does not know `Disposable`.
 */
function publishable(declaration: string): string {
  const ended = declaration.replace(/((?:from|import|import\()\s*['"]\.{1,2}\/[^'"]*)\.ts(?=['"])/g, '$1.js')
  const disposes = /\b(?:Async)?Disposable\b|\bSymbol\.(?:asyncD|d)ispose\b/.test(ended)
  const referenced = ended.startsWith('/// <reference lib="esnext.disposable"')
  return disposes && !referenced ? `/// <reference lib="esnext.disposable" />\n${ended}` : ended
}
