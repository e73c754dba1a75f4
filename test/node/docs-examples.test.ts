import { createOpenAI } from '@ai-sdk/openai'
import { createRuntime, defineAgent, memoryStore } from 'turnloop/runtime'
import { afterEach, describe, expect, inject, it, vi } from 'vitest'
import { openaiProxy } from '../../docs/examples/keys/openai-proxy.ts'
import { serverAt } from '../server/client.ts'
import { httpError } from '../server/http-errors.ts'
import { say } from '../server/turns.ts'
// Users' tests run without a browser.
import '../../docs/examples/clerk/clerk.test.ts'
import '../../docs/examples/control/control.test.ts'
import '../../docs/examples/files/files.test.ts'
import '../../docs/examples/mail/approvals.test.ts'
import '../../docs/examples/middleware/middleware.test.ts'
import '../../docs/examples/output/output.test.ts'
import '../../docs/examples/page-tools/guide.test.ts'
import '../../docs/examples/reader/reader.test.ts'
import '../../docs/examples/skills/skills.test.ts'
import '../../docs/examples/weather/src/assistant.test.ts'
import '../../docs/examples/weather/src/scripts.test.ts'

afterEach(() => {
  vi.unstubAllGlobals()
  vi.unstubAllEnvs()
})

describe('the proxy of the README', () => {
  const endpoint = serverAt(inject('modelServer'))
  const realFetch = fetch

  /** An agent whose requests go to the proxy, which goes to the scripted endpoint. */
  function agentBehind(baseURL: string, mayUse: (request: Request) => boolean) {
    vi.stubEnv('OPENAI_API_KEY', 'sk-of-the-server')
    vi.stubGlobal('fetch', (url: string, init: RequestInit) =>
      realFetch(url.replace('https://api.openai.com/v1', baseURL), init),
    )
    const proxy = openaiProxy(mayUse)
    const openai = createOpenAI({
      baseURL: 'https://app.example/api/openai',
      apiKey: 'the proxy adds it',
      fetch: (input, init) => proxy(new Request(input, { ...init, headers: { ...init?.headers, cookie: 'a=b' } })),
    })
    const agent = defineAgent({ name: 'assistant', model: openai('gpt-5-mini'), retry: { attempts: 1 } })
    return createRuntime(agent, { store: memoryStore() })
  }

  it('adds the key, and passes nothing else of the page on', async () => {
    const script = await endpoint.script([say('Hello.')])
    await using runtime = agentBehind(script.baseURL, () => true)
    expect((await runtime.session().send('Hi').result).text).toBe('Hello.')
    const [request] = await script.requests()
    expect(request?.headers.authorization).toBe('Bearer sk-of-the-server')
    expect(request?.headers.cookie).toBeUndefined()
  })

  it('tells the page of a limit', async () => {
    const script = await endpoint.script([httpError(429, { message: 'Slow down' })])
    await using runtime = agentBehind(script.baseURL, () => true)
    await expect(runtime.session().send('Hi').result).rejects.toMatchObject({ code: 'rate-limited', status: 429 })
  })

  it('serves nobody who may not use it', async () => {
    const script = await endpoint.script([say('Hello.')])
    await using runtime = agentBehind(script.baseURL, () => false)
    expect(await runtime.session().send('Hi').result).toMatchObject({ status: 'stopped', reason: 'credentials' })
    expect(await script.requests()).toEqual([])
  })

  it('serves no other path', async () => {
    const proxy = openaiProxy(() => true)
    const answer = await proxy(new Request('https://app.example/api/openai/files', { method: 'POST', body: '{}' }))
    expect(answer.status).toBe(404)
  })

  it('ends the request to the endpoint when the run is stopped', async () => {
    const script = await endpoint.script([say('One two three four', { holdAt: { event: 6 } })])
    await using runtime = agentBehind(script.baseURL, () => true)
    const run = runtime.session().send('Hi')
    await new Promise<void>((resolve) => run.on('text-delta', () => resolve()))
    await run.stop()
    await script.waitFor('closed')
  })
})
