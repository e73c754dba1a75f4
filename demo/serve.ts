import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build, createServer, preview } from 'vite'
import { endpointFrom } from './server/openai-proxy.ts'

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

const server = values.dev ? await develop() : await buildAndServe()

// without colours, which Vite puts into the middle of an address
for (const url of server.resolvedUrls?.local ?? []) console.log(`  ➜  Local:   ${url}`)
for (const url of server.resolvedUrls?.network ?? []) console.log(`  ➜  Network: ${url}`)
const endpoint = endpointFrom(process.env)
console.log(
  `  ➜  Models:  offline${endpoint ? `, ${endpoint.model} at ${endpoint.baseURL}` : ' (for a real one set OPENAI_API_KEY)'}`,
)

async function develop() {
  const server = await createServer({ configFile, server: address })
  return server.listen()
}

async function buildAndServe() {
  await build({ configFile, logLevel: 'warn', build: output })
  return preview({ configFile, build: output, preview: address })
}
