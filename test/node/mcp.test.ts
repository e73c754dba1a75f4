import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type McpOptions, mcpTools } from 'turnloop/mcp'
import { createRuntime, defineAgent, fetchWithoutUserAgent, memoryStore } from 'turnloop/runtime'
import { reply, type ScriptedTurn, scriptedModel } from 'turnloop/testing'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { expectOrder, record } from '../runtime/record.ts'
import { door } from '../runtime/stores.ts'
import { type McpServer, startMcpServer } from '../server/mcp-server.ts'

let server: McpServer
beforeAll(async () => {
  server = await startMcpServer()
})
afterAll(() => server.stop())

function using(options: Partial<McpOptions>, turns: readonly ScriptedTurn[], more: object = {}) {
  const model = scriptedModel(turns)
  const source = mcpTools({ url: server.url, name: 'everything', ...options })
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, toolSources: [source], ...more }), {
    store: memoryStore(),
  })
  onTestFinished(() => runtime.close())
  const session = runtime.session('trip')
  return { model, runtime, session, heard: record(session) }
}

const toldTo = ({ calls }: ReturnType<typeof using>['model'], call: number) =>
  JSON.stringify(calls[call]?.prompt.at(-1))

/** A server of the test's own making; its address. */
async function serving(listener: RequestListener): Promise<string> {
  const http = createServer(listener).listen(0, '127.0.0.1')
  await new Promise((resolve) => http.once('listening', resolve))
  onTestFinished(() => {
    http.closeAllConnections()
    http.close()
  })
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`
}

describe('an MCP server', () => {
  test('is connected to when a turn needs its tools, which are told to the model and called', async () => {
    const { session, model, heard } = using({}, [
      reply.all(reply.call('echo', { message: 'hello' }), reply.call('get-sum', { a: 2, b: 3 })),
      reply.text('Done'),
    ])
    await session.send('Go').result
    const told = model.calls[0]?.tools?.map(({ name }) => name)
    expect(told).toEqual(expect.arrayContaining(['echo', 'get-sum', 'get-tiny-image']))
    expect(heard.of('tool-execution-finished')).toMatchObject([
      { toolName: 'echo', dynamic: true, outcome: 'success' },
      { toolName: 'get-sum', dynamic: true, outcome: 'success' },
    ])
    expect(toldTo(model, 1)).toContain('Echo: hello')
    expect(toldTo(model, 1)).toContain('The sum of 2 and 3 is 5.')
    expect(heard.of('notice')).toEqual([])
    expectOrder(heard.events)
  })

  test('gives images to the model as files, and what it refuses as a failure in its words', async () => {
    const { session, model, heard } = using({}, [
      reply.all(reply.call('get-tiny-image', {}), reply.call('get-sum', { a: 'x' })),
      reply.text('Done'),
    ])
    await session.send('Go').result
    const [image] = heard.of('tool-execution-finished').filter(({ toolName }) => toolName === 'get-tiny-image')
    expect(image).toMatchObject({ outcome: 'success' })
    expect(toldTo(model, 1)).toContain('"mediaType":"image/png"')
    const [sum] = heard.of('tool-execution-finished').filter(({ toolName }) => toolName === 'get-sum')
    expect(sum).toMatchObject({ outcome: 'failure', errorText: expect.stringMatching(/invalid/i) })
  })

  test('has tools under a prefix, whose output taints the session unless it is trusted', async () => {
    const turns = () => [reply.call('ev_echo', { message: 'hi' }), reply.text('Done')]
    for (const trusted of [false, true]) {
      const { session, heard, runtime } = using({ prefix: 'ev_', trusted }, turns(), {
        toolPolicy: { ev_echo: { egress: true } },
      })
      await session.send('Go').result
      expect(heard.of('tool-execution-finished')).toMatchObject([{ toolName: 'ev_echo', outcome: 'success' }])
      const asked = using({ prefix: 'ev_', trusted }, [...turns().slice(0, 1), ...turns()], {
        toolPolicy: { ev_echo: { egress: true } },
      })
      const run = asked.session.send('Go')
      const second = await Promise.race([asked.heard.when('run-waiting'), run.result.then(() => 'done')])
      expect(second === 'done').toBe(trusted)
      await run.stop()
      await runtime.close()
    }
  })

  test('is under the agent’s policy', async () => {
    const { session, heard } = using({}, [reply.call('echo', { message: 'hi' }), reply.text('Done')], {
      policy: ({ toolName }: { toolName: string }) => (toolName === 'echo' ? { deny: 'No echoes.' } : undefined),
    })
    await session.send('Go').result
    expect(heard.of('tool-execution-finished')).toMatchObject([{ toolName: 'echo', outcome: 'denied' }])
  })

  test('that is restarted in mid-session is connected to anew, and its tools work again', async () => {
    const own = await startMcpServer()
    const restart = async () => {
      await own.stop()
      const again = await startMcpServer(own.port)
      onTestFinished(() => again.stop())
    }
    const { session, heard } = using({ url: own.url }, [
      reply.call('echo', { message: 'one' }),
      async () => {
        await restart()
        return reply.call('echo', { message: 'two' })
      },
      reply.call('echo', { message: 'three' }),
      reply.text('Done'),
    ])
    await session.send('Go').result
    expect(heard.of('tool-execution-finished').map(({ outcome }) => outcome)).toEqual(['success', 'success', 'success'])
    expect(heard.of('notice')).toEqual([])
  })

  test('that goes away in mid-call fails the call, and the run goes on without its tools until it is back', async () => {
    const own = await startMcpServer()
    const answering = door()
    const watched: typeof fetch = async (input, init) => {
      const response = await fetchWithoutUserAgent(input, init)
      if (String(init?.body).includes('"tools/call"')) void answering.pass()
      return response
    }
    const { session, heard, model } = using({ url: own.url, fetch: watched }, [
      reply.call('trigger-long-running-operation', { duration: 60, steps: 60 }),
      async (call) => {
        const again = await startMcpServer(own.port)
        onTestFinished(() => again.stop())
        return call.tools ? reply.text('unexpected') : reply.call('echo', {})
      },
      reply.call('echo', { message: 'back' }),
      reply.text('Done'),
    ])
    const run = session.send('Go')
    await answering.reached
    await own.stop()
    await run.result
    const [cut] = heard.of('tool-execution-finished')
    expect(cut).toMatchObject({ outcome: 'failure', errorText: expect.stringContaining('connection was lost') })
    expect(heard.of('notice')).toMatchObject([{ code: 'tool-source', message: expect.stringContaining('everything') }])
    expect(heard.of('tool-execution-finished').at(-1)).toMatchObject({ toolName: 'echo', outcome: 'success' })
    expect(toldTo(model, 3)).toContain('Echo: back')
  })

  test('loses a call as soon as its run is aborted', async () => {
    const { session, heard } = using({}, [reply.call('trigger-long-running-operation', { duration: 60, steps: 60 })])
    const run = session.send('Go')
    await heard.when('tool-execution-started')
    run.abort()
    await expect(run.result).rejects.toThrow('aborted')
  })
})

describe('the headers of an MCP server', () => {
  test('come from the page’s credentials, and reach nothing but the server, not even when it repeats them', async () => {
    const secret = 'canary-4f1d9e77'
    const seen = new Set<unknown>()
    const url = await serving((request, response) => {
      seen.add(request.headers.authorization)
      response.writeHead(401).end(`Your token is ${request.headers.authorization}`)
    })
    const { session, runtime, heard } = using(
      { url, headers: ({ credentials }) => ({ authorization: `Bearer ${(credentials as { token: string }).token}` }) },
      [reply.text('Done')],
    )
    runtime.setCredentials({ token: secret })
    await session.send('Go').result
    expect([...seen]).toEqual([`Bearer ${secret}`])
    expect(heard.of('notice')).toMatchObject([{ message: expect.stringContaining('HTTP 401') }])
    expect(JSON.stringify(heard.events)).not.toContain(secret)
  })

  test('are taken out of what it says in errors', async () => {
    const secret = 'canary-4f1d9e77'
    const url = await serving((request, response) => {
      let body = ''
      request.on('data', (data) => (body += data))
      request.on('end', () => {
        const { id } = (body ? JSON.parse(body) : {}) as { id?: unknown }
        response.writeHead(200, { 'content-type': 'application/json' })
        const error = { code: -32_600, message: `who is ${request.headers['x-key']}?` }
        response.end(JSON.stringify({ jsonrpc: '2.0', id, error }))
      })
    })
    const { session, heard } = using({ url, headers: { 'x-key': secret } }, [reply.text('Done')])
    await session.send('Go').result
    expect(heard.of('notice')).toMatchObject([{ message: expect.stringContaining('who is …?') }])
  })
})

describe('what is no MCP server', () => {
  test.each([
    ['nobody', 'http://127.0.0.1:1/mcp'],
    ['no address', 'mcp'],
    ['another protocol', 'ftp://127.0.0.1/mcp'],
  ])('%s is refused, or done without', async (_, url) => {
    if (!url.startsWith('http')) {
      expect(() => mcpTools({ url })).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
      return
    }
    const { session, heard } = using({ url }, [reply.text('Done')])
    expect((await session.send('Go').result).status).toBe('completed')
    expect(heard.of('notice')).toMatchObject([{ code: 'tool-source' }])
  })

  test.each([
    ['answers with a page', 'text/html', '<html></html>'],
    ['answers with something else', 'application/json', '[1,2,{}]'],
    ['ends its stream without an answer', 'text/event-stream', 'data: {"jsonrpc"'],
  ])('one that %s is done without', async (_, type, body) => {
    const url = await serving((_request, response) => response.writeHead(200, { 'content-type': type }).end(body))
    const { session, heard } = using({ url }, [reply.text('Done')])
    expect((await session.send('Go').result).status).toBe('completed')
    expect(heard.of('notice')).toMatchObject([{ code: 'tool-source' }])
  })
})
