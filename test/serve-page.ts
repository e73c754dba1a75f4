import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type InlineConfig, preview } from 'vite'
import { sourceAliases } from '../scripts/entries.ts'

/** Builds a page of the tests and its workers from the sources, as a user's project would, and serves them. */
export async function servePage(page: URL): Promise<{ readonly url: string; close(): Promise<void> }> {
  const outDir = await mkdtemp(join(tmpdir(), 'turnloop-page-'))
  const config = {
    configFile: false,
    root: fileURLToPath(new URL('.', page)),
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
      rolldownOptions: { input: fileURLToPath(page), checks: { pluginTimings: false } },
    },
    preview: { host: '127.0.0.1', port: 0, cors: false },
  } satisfies InlineConfig
  await build(config)
  const server = await preview(config)
  const url = new URL(page.pathname.split('/').at(-1) ?? '', server.resolvedUrls?.local[0])
  return {
    url: url.href,
    async close() {
      await server.close()
      await rm(outDir, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
