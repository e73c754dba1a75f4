import { connect } from 'turnloop'
import { expect, onTestFinished, test } from 'vitest'
import { commands } from 'vitest/browser'
import { record } from '../runtime/record.ts'
import type { runtime } from './fixtures/mcp.worker.ts'

test('tools of an MCP server on another origin run in a worker, and again once the server was restarted', async () => {
  const { url, port } = await commands.startMcp()
  onTestFinished(() => commands.stopMcp(port))
  const agent = connect<typeof runtime>(
    () => new Worker(new URL('./fixtures/mcp.worker.ts', import.meta.url), { type: 'module', name: url }),
  )
  onTestFinished(() => agent.close())
  const session = agent.session('trip')
  const heard = record(session)
  await session.send('Go').result
  await commands.stopMcp(port)
  await commands.startMcp(port)
  await session.send('Again').result
  const outputs = heard.of('tool-execution-finished').map((event) => event.outcome === 'success' && event.output)
  expect(outputs).toMatchObject([{ content: [{ text: 'Echo: one' }] }, { content: [{ text: 'Echo: two' }] }])
  expect(heard.of('notice')).toEqual([])
})
