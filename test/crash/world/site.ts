import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { sourceAliases } from '../../../scripts/entries.ts'

export interface Site {
  /** A file's bytes and type, or undefined where there is none. */
  file(pathname: string): Promise<{ readonly bytes: Buffer; readonly type: string } | undefined>
  close(): Promise<void>
}

const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' }

/** The page and its worker, built as a user's project would be. */
export async function buildSite(): Promise<Site> {
  const root = fileURLToPath(new URL('../page/', import.meta.url))
  const outDir = await mkdtemp(join(tmpdir(), 'turnloop-crash-site-'))
  await build({
    configFile: false,
    root,
    mode: 'production',
    logLevel: 'warn',
    resolve: { alias: [...sourceAliases] },
    worker: { format: 'es' },
    build: {
      target: 'es2023',
      outDir,
      emptyOutDir: true,
      minify: false,
      reportCompressedSize: false,
      chunkSizeWarningLimit: Number.POSITIVE_INFINITY,
      rolldownOptions: { checks: { pluginTimings: false } },
    },
  })
  const files = new Map<string, Promise<Buffer | undefined>>()
  return {
    async file(pathname) {
      const path = normalize(pathname === '/' ? '/index.html' : pathname)
      const found = files.get(path) ?? readFile(join(outDir, path)).catch(() => undefined)
      files.set(path, found)
      const bytes = await found
      return bytes && { bytes, type: types[extname(path)] ?? 'application/octet-stream' }
    },
    close: () => rm(outDir, { recursive: true, force: true, maxRetries: 5 }),
  }
}
