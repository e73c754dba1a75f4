import type { BrowserCommand } from 'vitest/node'
import { type McpServer, startMcpServer } from './server/mcp-server.ts'

// For tests in the browser: the MCP server is a process on this side.

declare module 'vitest/browser' {
  interface BrowserCommands {
    /** Starts the MCP project's reference server, on the port where it is given; gives its address. */
    startMcp: (port?: number) => Promise<{ url: string; port: number }>
    /** Ends the one on this port at once. */
    stopMcp: (port: number) => Promise<void>
  }
}

const servers = new Map<number, McpServer>()

const startMcp: BrowserCommand<[port?: number]> = async (_, port) => {
  const server = await startMcpServer(port)
  servers.set(server.port, server)
  return { url: server.url, port: server.port }
}

const stopMcp: BrowserCommand<[port: number]> = async (_, port) => {
  await servers.get(port)?.stop()
  servers.delete(port)
}

export const mcpCommands = { startMcp, stopMcp }
