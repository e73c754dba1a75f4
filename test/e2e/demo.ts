import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const serve = fileURLToPath(new URL('../../demo/serve.ts', import.meta.url))

export interface Demo {
  readonly url: string
  /** Lines on its error output: reports of CSP violations, and whatever else went wrong. */
  readonly complaints: readonly string[]
  close(): Promise<void>
}

/** What `npm run demo` starts, on a free port, with a build of its own. */
export async function startDemo(env: Record<string, string> = {}): Promise<Demo> {
  const outDir = await mkdtemp(join(tmpdir(), 'turnloop-demo-'))
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('OPENAI_') && name !== 'PORT')
  const server = spawn(process.execPath, [serve, '--port', '0', '--outDir', outDir], {
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const complaints: string[] = []
  server.stderr.on('data', (data: Buffer) => complaints.push(...data.toString().split('\n').filter(Boolean)))
  const url = await new Promise<string>((resolve, reject) => {
    let output = ''
    server.stdout.on('data', (data: Buffer) => {
      output += data
      const address = /http:\/\/(?:127\.0\.0\.1|localhost):\d+\//.exec(output)
      if (address) resolve(address[0])
    })
    server.once('exit', (code) =>
      reject(new Error(`The demo ended with ${code} before it had an address:\n${output}${complaints.join('\n')}`)),
    )
  })
  return {
    url,
    complaints,
    async close() {
      server.kill()
      await once(server, 'exit')
      await rm(outDir, { recursive: true, force: true })
    },
  }
}
