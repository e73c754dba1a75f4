import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type InlineConfig, preview } from 'vite'
import { sourceAliases } from '../scripts/entries.ts'

/** Builds the page and its workers as a user's project would, minified and for production, and serves them. */
export async function serveSite(): Promise<{ readonly url: string; close(): Promise<void> }> {
  const outDir = await mkdtemp(join(tmpdir(), 'turnloop-bench-site-'))
  const config = {
    configFile: false,
    root: fileURLToPath(new URL('.', import.meta.url)),
    mode: 'production',
    logLevel: 'warn',
    resolve: { alias: [...sourceAliases] },
    worker: { format: 'es' },
    build: {
      target: 'es2023',
      outDir,
      emptyOutDir: true,
      reportCompressedSize: false,
      chunkSizeWarningLimit: Number.POSITIVE_INFINITY,
      rolldownOptions: {
        input: fileURLToPath(new URL('page.html', import.meta.url)),
        checks: { pluginTimings: false },
      },
    },
    preview: { host: '127.0.0.1', port: 0, cors: false },
  } satisfies InlineConfig
  await build(config)
  const server = await preview(config)
  const url = new URL('page.html', server.resolvedUrls?.local[0])
  return {
    url: url.href,
    async close() {
      await server.close()
      await rm(outDir, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
