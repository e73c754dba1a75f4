import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest'
import { type McpServer, startMcpServer } from '../server/mcp-server.ts'

let server: McpServer
beforeAll(async () => {
  server = await startMcpServer()
})
afterAll(() => server.stop())

it('the example of an MCP server gives the agent its tools, and hands the token over', async () => {
  const authorized: (string | null)[] = []
  const realFetch = fetch
  vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
    authorized.push(new Headers(init.headers).get('authorization'))
    return realFetch(String(url).replace('https://app.example/api/mcp', server.url), init)
  })
  vi.stubGlobal('location', new URL('https://app.example/'))
  onTestFinished(() => void vi.unstubAllGlobals())
  const { helper } = await import('../../docs/examples/skills/mcp.ts')
  const model = scriptedModel([reply.call('tickets_echo', { message: 'Hello' }), reply.text('Done.')])
  const runtime = createRuntime(helper, { model, store: memoryStore() })
  onTestFinished(() => runtime.close())
  runtime.setCredentials({ ticketToken: 'token-of-the-user' })
  expect((await runtime.session().send('Say hello').result).text).toBe('Done.')
  expect(model.calls[0]?.tools?.map(({ name }) => name)).toContain('tickets_echo')
  expect(JSON.stringify(model.calls[1]?.prompt.at(-1))).toContain('Hello')
  expect(authorized[0]).toBe('Bearer token-of-the-user')
})
