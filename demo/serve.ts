import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build, createServer, preview } from 'vite'

// npm run demo: builds the page and serves the build, under the headers that a deployed page would have. With --dev it
// serves the sources instead, under the same headers.

const { values } = parseArgs({
  options: {
    dev: { type: 'boolean' },
    port: { type: 'string', default: process.env.PORT ?? '5173' },
    host: { type: 'string', default: '127.0.0.1' },
    strictPort: { type: 'boolean' },
    outDir: { type: 'string' },
  },
})

const configFile = fileURLToPath(new URL('vite.config.ts', import.meta.url))
const address = { port: Number(values.port), host: values.host, strictPort: values.strictPort ?? false }
const output = values.outDir ? { outDir: values.outDir } : {}

if (values.dev) {
  const server = await createServer({ configFile, server: address })
  await server.listen()
  server.printUrls()
} else {
  await build({ configFile, logLevel: 'warn', build: output })
  const server = await preview({ configFile, build: output, preview: address })
  server.printUrls()
}
