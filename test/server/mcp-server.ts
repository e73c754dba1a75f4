import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

// The MCP project's reference server, over streamable HTTP, as a process of its own on 127.0.0.1.

export interface McpServer {
  readonly url: string
  readonly port: number
  /** Ends it at once: connections are cut, and its sessions are gone. */
  stop(): Promise<void>
}

const program = join(
  fileURLToPath(new URL('../../node_modules/@modelcontextprotocol/server-everything', import.meta.url)),
  'dist/index.js',
)

export async function startMcpServer(port?: number): Promise<McpServer> {
  const chosen = port ?? (await freePort())
  const child = spawn(process.execPath, [program, 'streamableHttp'], {
    env: { ...process.env, PORT: String(chosen), CANARY: 'of the server’s environment' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const exited = once(child, 'exit')
  let said = ''
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (data) => {
      said += data
      if (said.includes('listening on port')) resolve()
    })
    exited.then(() => reject(new Error(`the MCP server did not start: ${said}`)))
  })
  return {
    url: `http://127.0.0.1:${chosen}/mcp`,
    port: chosen,
    stop: async () => {
      process.off('exit', kill)
      kill()
      await exited
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
