import { connect } from 'turnloop'
import { createRuntime, defineAgent, memoryStore, type Store, serve, tool } from 'turnloop/runtime'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import { problemsOf } from './check-prompt.ts'
import { type ManualModel, manualModel } from './manual-model.ts'
import { answer, expectOrder, record } from './record.ts'
import { door, mortal } from './stores.ts'

type Options = Omit<Partial<AgentDefinition>, 'tools' | 'model'> & {
  readonly tool?: object
  readonly model?: ManualModel
  readonly starts?: string[]
}

const schema = z.object({ to: z.string().optional(), n: z.number().optional() })

/** A runtime with one tool that is treated as `tool` says, and a plain one. Both note each start. */
function start(store: Store, { tool: fields = {}, model = manualModel(), starts = [], ...options }: Options = {}) {
  const execute = (_: unknown, { toolCallId }: { toolCallId: string }) => {
    starts.push(toolCallId)
    return 'done'
  }
  const tools = {
    send: { ...tool({ inputSchema: schema, execute }), ...fields },
    look: tool({ inputSchema: schema, execute }),
    fetch: tool({ inputSchema: schema, execute, untrusted: true }),
  }
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools, ...options }), { store })
  const session = runtime.session('trip')
  return { model, runtime, session, starts, heard: record(session) }
}

type Call = readonly [toolName: string, input: object, toolCallId: string]

/** One turn of the model: the calls that it makes. */
async function turn(model: ManualModel, ...calls: readonly Call[]) {
  const call = await model.next()
  expect(problemsOf(call.options.prompt)).toEqual([])
  for (const made of calls) call.toolCall(...made)
  call.finish(calls.length > 0 ? 'tool-calls' : 'stop')
  return call
}

const send: Call = ['send', { to: 'ada' }, 's']
const look: Call = ['look', {}, 'l']

/** What becomes of a call of `send`: it starts, somebody is asked, or the model hears a no. */
async function verdictOf(options: Options, made: Call = send) {
  const { model, heard, session, starts } = start(memoryStore(), options)
  const run = session.send('Write')
  await turn(model, made)
  const outcome = await Promise.race([
    heard.when('approval-requested').then(({ approval }) => ({ asked: 'why' in approval ? approval.why : true })),
    model.next().then(({ options: { prompt } }) => {
      const [result] = (prompt.at(-1)?.content ?? []) as unknown as { output: { value: string } }[]
      return starts.length > 0 ? 'started' : { denied: result?.output.value }
    }),
  ])
  run.abort()
  await run.result.catch(() => {})
  return outcome
}

const asked = { asked: true }
const reason = (text: string) => expect.stringContaining(text)

describe('whether a call starts', () => {
  test('is said by its tool', async () => {
    const byRecipient = ({ to }: { to?: string }) => to === 'ada'
    expect(await verdictOf({ tool: {} })).toBe('started')
    expect(await verdictOf({ tool: { approval: 'never' } })).toBe('started')
    expect(await verdictOf({ tool: { approval: 'always' } })).toMatchObject(asked)
    expect(await verdictOf({ tool: { approval: byRecipient } })).toMatchObject(asked)
    expect(await verdictOf({ tool: { approval: async () => true } })).toMatchObject(asked)
    expect(await verdictOf({ tool: { approval: byRecipient } }, ['send', { to: 'bob' }, 's'])).toBe('started')
  })

  test("is said by a tool of the AI SDK's in its own words", async () => {
    const seen: unknown[] = []
    const needsApproval = (input: { to?: string }, options: { toolCallId: string; messages: readonly object[] }) => {
      seen.push({ input, ...options })
      return input.to === 'ada'
    }
    expect(await verdictOf({ tool: { needsApproval: true } })).toMatchObject(asked)
    expect(await verdictOf({ tool: { needsApproval: false } })).toBe('started')
    expect(await verdictOf({ tool: { needsApproval } })).toMatchObject(asked)
    expect(await verdictOf({ tool: { needsApproval } }, ['send', { to: 'bob' }, 's'])).toBe('started')
    expect(seen[0]).toMatchObject({
      input: { to: 'ada' },
      toolCallId: 's',
      messages: [{ role: 'user', content: [{ type: 'text', text: 'Write' }] }],
    })
  })

  test("is said by the agent's toolPolicy in the place of the tool's own fields", async () => {
    const toolPolicy = (fields: object) => ({ toolPolicy: { send: fields } })
    expect(await verdictOf({ tool: { approval: 'always' }, ...toolPolicy({ approval: 'never' }) })).toBe('started')
    expect(await verdictOf({ tool: { approval: 'never' }, ...toolPolicy({ approval: 'always' }) })).toMatchObject(asked)
    expect(await verdictOf({ tool: { needsApproval: true }, ...toolPolicy({ approval: 'never' }) })).toBe('started')
    expect(await verdictOf({ tool: { needsApproval: true }, ...toolPolicy({ serial: true }) })).toMatchObject(asked)
    expect(await verdictOf({ tool: { approval: 'always' }, ...toolPolicy({ serial: true }) })).toMatchObject(asked)
  })

  test("is said by the agent's policy, with words for whoever is asked, or for the model", async () => {
    expect(await verdictOf({ policy: () => undefined })).toBe('started')
    expect(await verdictOf({ policy: () => 'allow' })).toBe('started')
    expect(await verdictOf({ policy: () => 'ask' })).toMatchObject(asked)
    expect(await verdictOf({ policy: async () => ({ ask: 'Ada is new' }) })).toEqual({ asked: 'Ada is new' })
    expect(await verdictOf({ policy: () => 'deny' })).toEqual({ denied: 'This call was not allowed.' })
    expect(await verdictOf({ policy: async () => ({ deny: 'No mail on Sundays' }) })).toEqual({
      denied: 'This call was not allowed: No mail on Sundays',
    })
  })

  test('is what the strictest says', async () => {
    expect(await verdictOf({ tool: { approval: 'always' }, policy: () => 'allow' })).toMatchObject(asked)
    expect(await verdictOf({ tool: { approval: 'always' }, policy: () => 'deny' })).toMatchObject({
      denied: reason(''),
    })
    expect(await verdictOf({ tool: { approval: 'never' }, policy: () => 'ask' })).toMatchObject(asked)
    expect(await verdictOf({ tool: { approval: 'never', needsApproval: true } })).toMatchObject(asked)
    const middleware = (word: object) => ({ middleware: [{ name: 'guard', beforeTool: () => word }] })
    expect(await verdictOf({ policy: () => 'allow', ...middleware({ ask: 'Look at it' }) })).toEqual({
      asked: 'Look at it',
    })
    expect(await verdictOf({ policy: () => 'ask', ...middleware({ deny: 'Never' }) })).toEqual({
      denied: 'This call was not allowed: Never',
    })
    expect(await verdictOf({ policy: () => ({ deny: 'No' }), ...middleware({ ask: 'Look' }) })).toMatchObject({
      denied: reason('No'),
    })
  })

  test('is a no where it can not be decided, and the run goes on', async () => {
    const fails = () => {
      throw new Error('lost the list')
    }
    for (const options of [
      { tool: { approval: fails } },
      { tool: { approval: async () => fails() } },
      { tool: { needsApproval: fails } },
      { policy: fails },
      { policy: async () => fails() },
    ] as const)
      expect(await verdictOf(options)).toEqual({ denied: reason('could not be decided: lost the list') })
    for (const odd of ['yes', null, {}, { deny: 5 }, true, Object.create({ ask: 'inherited' })])
      expect(await verdictOf({ policy: () => odd as never }), String(odd)).toEqual({
        denied: reason('the policy must'),
      })
  })

  test('is asked where a function of the tool gives anything but a clear no', async () => {
    for (const odd of [undefined, null, 0, '', 'no', {}]) {
      expect(await verdictOf({ tool: { approval: () => odd } }), String(odd)).toMatchObject(asked)
      expect(await verdictOf({ tool: { needsApproval: () => odd } }), String(odd)).toMatchObject(asked)
    }
  })

  test('is not asked about calls that can not be carried out', async () => {
    const { model, session, heard } = start(memoryStore(), { tool: { approval: 'always' }, policy: () => 'ask' })
    session.send('Write')
    await turn(model, ['send', { to: 5 }, 's'], ['none', {}, 'n'])
    await turn(model)
    await heard.when('run-completed')
    expect(heard.of('approval-requested')).toEqual([])
  })

  test('is told to the audit trail, with who said it', async () => {
    const { model, session, heard, runtime } = start(memoryStore(), {
      policy: ({ toolName }) => (toolName === 'look' ? 'deny' : { ask: 'Why not' }),
    })
    const run = session.send('Write')
    await turn(model, send, look)
    const { approval } = await heard.when('approval-requested')
    await heard.when('run-waiting')
    await answer(runtime, approval, { decision: 'deny', reason: 'No' })
    await turn(model)
    await run.result
    const entries = (await runtime.runs.audit(run.runId)).filter(({ transition }) =>
      ['approval-requested', 'allowed', 'denied'].includes(transition),
    )
    expect(entries).toMatchObject([
      { toolCallId: 's', transition: 'approval-requested', by: 'policy', detail: 'Why not', approvalId: approval.id },
      { toolCallId: 'l', transition: 'denied', by: 'policy' },
      { toolCallId: 's', transition: 'denied', by: 'person', detail: reason('No'), approvalId: approval.id },
    ])
  })
})

describe('a policy', () => {
  test('is told of the call and where it stands; what it does to that changes nothing', async () => {
    const calls: unknown[] = []
    const { model, session, starts, heard } = start(memoryStore(), {
      tool: { risk: 'destructive', egress: true, actionKey: ({ to }: { to: string }) => to },
      policy: (call, { signal, ...context }) => {
        calls.push(structuredClone({ call, context }), signal.aborted)
        Object.assign(call.input as object, { to: 'eve' })
        return 'allow'
      },
    })
    const run = session.send('Write', { metadata: { user: 7 } })
    await turn(model, send)
    await turn(model)
    await run.result
    expect(calls).toMatchObject([
      {
        call: {
          toolCallId: 's',
          toolName: 'send',
          input: { to: 'ada' },
          risk: 'destructive',
          actionKey: 'send\nada',
          egress: true,
        },
        context: {
          sessionId: 'trip',
          runId: run.runId,
          agent: 'assistant',
          turn: 1,
          metadata: { user: 7 },
          tainted: false,
        },
      },
      false,
    ])
    expect(starts).toEqual(['s'])
    expect(heard.of('tool-execution-started')).toMatchObject([{ input: { to: 'ada' } }])
  })

  test('decides all calls of a turn before the first of them starts', async () => {
    const order: string[] = []
    const deciding = door()
    const { model, session, starts, heard } = start(memoryStore(), {
      policy: async ({ toolCallId }) => {
        order.push(`decide ${toolCallId}`)
        if (toolCallId === 'c') await deciding.pass()
        return toolCallId === 'b' ? 'ask' : undefined
      },
      starts: new Proxy([] as string[], {
        get: (target, key) => (key === 'push' ? (id: string) => order.push(`start ${id}`) : Reflect.get(target, key)),
      }),
    })
    session.send('Look')
    await turn(model, ['look', {}, 'a'], ['look', { n: 1 }, 'b'], ['look', { n: 2 }, 'c'])
    await deciding.reached
    expect(starts).toEqual([])
    expect(heard.of('approval-requested')).toEqual([])
    deciding.open()
    await heard.when('run-waiting')
    expect(order).toEqual(['decide a', 'decide b', 'decide c', 'start a', 'start c'])
    const kinds = heard.kinds()
    expect(kinds.indexOf('approval-requested')).toBeLessThan(kinds.indexOf('tool-execution-started'))
    expectOrder(heard.events)
  })

  test('that never answers does not keep a run from being stopped or aborted', async () => {
    for (const end of ['stop', 'abort'] as const) {
      const asking = door()
      const { model, session, starts } = start(memoryStore(), {
        policy: async () => {
          await asking.pass()
          return 'allow' as const
        },
      })
      const run = session.send('Write')
      await turn(model, send)
      await asking.reached
      if (end === 'stop') expect(await run.stop()).toMatchObject({ status: 'stopped' })
      else {
        run.abort()
        await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
      }
      asking.open()
      expect(starts).toEqual([])
    }
  })

  test('is not asked any more once the run is to stop after the turn: the resume asks it', async () => {
    const decided: string[] = []
    const { model, session, starts, runtime, heard } = start(memoryStore(), {
      policy: ({ toolCallId }) => {
        decided.push(toolCallId)
        return 'ask'
      },
    })
    const run = session.send('Write')
    const call = await model.next()
    call.toolCall(...send)
    await heard.when('tool-call-completed')
    const stopped = run.stop({ after: 'turn' })
    call.finish('tool-calls')
    expect(await stopped).toMatchObject({ status: 'stopped', reason: 'requested' })
    expect(decided).toEqual([])
    void runtime.runs.resume(run.runId)
    const { approval } = await heard.when('approval-requested')
    expect(approval).toMatchObject({ toolCallId: 's' })
    expect(starts).toEqual([])
  })

  test('is asked again by who goes on with a run whose owner died before the call started', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const asking = door()
    const first = start(alive, {
      policy: async () => {
        await asking.pass()
        return 'allow' as const
      },
    })
    first.session.send('Write')
    await turn(first.model, send)
    await asking.reached
    alive.die()
    const { model, starts, session } = start(store, { policy: () => ({ deny: 'Not any more' }) })
    void session.view.ready
    const { options } = await turn(model)
    expect(options.prompt.at(-1)?.content).toMatchObject([{ output: { value: reason('Not any more') } }])
    expect([...first.starts, ...starts]).toEqual([])
  })

  test('of calls that are handed out is nobody but whoever carries them out', async () => {
    const { model, session, heard } = start(memoryStore(), { policy: () => 'deny', tool: { approval: 'always' } })
    const stepping = session.step('Write', { tools: 'external' })
    await turn(model, send)
    expect(await stepping).toMatchObject({ status: 'pending-tool-calls', toolCalls: [{ toolCallId: 's' }] })
    expect(heard.of('approval-requested')).toEqual([])
  })
})

describe('a call that was denied', () => {
  test('does not count among the calls that a run may start, and is not started again after a death', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const first = start(alive, {
      limits: { maxToolCalls: 1 },
      policy: ({ toolName }) => (toolName === 'send' ? 'deny' : 'ask'),
    })
    first.session.send('Write')
    await turn(first.model, send, look)
    const { approval } = await first.heard.when('approval-requested')
    await first.heard.when('run-waiting')
    alive.die()
    // The rule has changed: what was denied stays denied.
    const { model, starts, runtime, session } = start(store, { limits: { maxToolCalls: 1 } })
    await runtime.approvals.ready
    await answer(runtime, approval, { decision: 'allow-once' })
    const { options } = await turn(model)
    expect(options.prompt.at(-1)?.content).toMatchObject([
      { toolCallId: 's', output: { value: 'This call was not allowed.' } },
      { toolCallId: 'l', output: { value: 'done' } },
    ])
    expect(starts).toEqual(['l'])
    const all = record(session, { since: 0 })
    await all.when('run-completed')
    expect(all.of('tool-execution-finished')).toMatchObject([
      { toolCallId: 's', outcome: 'denied', duration: 0 },
      { toolCallId: 'l', outcome: 'success' },
    ])
    expectOrder(all.events)
  })
})

describe('a call that sends something out', () => {
  const egress = { egress: true, actionKey: () => 'out' }

  test('is asked about in a session with content from outside, whatever the policy says and was granted', async () => {
    const store = memoryStore()
    const { model, session, heard, runtime, starts } = start(store, { tool: { ...egress, approval: 'always' } })
    session.send('Write')
    await turn(model, send)
    const { approval } = await heard.when('approval-requested')
    await heard.when('run-waiting')
    await answer(runtime, approval, { decision: 'allow-always' })
    await turn(model, ['send', { n: 1 }, 's2'])
    await turn(model, ['fetch', {}, 'f'], ['send', { n: 2 }, 's3'])
    await turn(model, ['send', { n: 3 }, 's4'], look)
    const { approval: tainted } = await heard.nth(2, 'approval-requested')
    expect(tainted).toMatchObject({
      toolCallId: 's4',
      tainted: true,
      choices: ['allow-once', 'deny', 'abort'],
      why: reason('Content from outside'),
    })
    await heard.nth(2, 'run-waiting')
    expect(starts).toEqual(['s', 's2', 'f', 's3', 'l'])
    await expect(answer(runtime, tainted, { decision: 'allow-always' })).rejects.toMatchObject({
      code: 'invalid-argument',
    })
    await answer(runtime, tainted, { decision: 'allow-once' })
    await turn(model)
    expect(starts).toContain('s4')
  })

  test('is asked about there even where nobody would ask, and denied where somebody denies', async () => {
    for (const [policy, expected] of [
      ['allow', 'asked'],
      ['deny', 'denied'],
    ] as const) {
      const { model, session, heard, starts } = start(memoryStore(), {
        tool: egress,
        policy: ({ toolName }) => (toolName === 'send' ? policy : 'allow'),
      })
      session.send('Write')
      await turn(model, ['fetch', {}, 'f'])
      await turn(model, send)
      if (expected === 'asked')
        expect(await heard.when('approval-requested')).toMatchObject({ approval: { tainted: true } })
      else expect(await heard.nth(2, 'tool-execution-finished')).toMatchObject({ outcome: 'denied' })
      expect(starts).toEqual(['f'])
    }
  })
})

describe('an action that can not be named', () => {
  test('is not remembered: "always allow" is no choice', async () => {
    for (const actionKey of [
      () => {
        throw new Error('no')
      },
      () => undefined as never,
      () => 7 as never,
      () => 'x'.repeat(5000),
    ]) {
      const { model, session, heard, runtime } = start(memoryStore(), { tool: { approval: 'always', actionKey } })
      session.send('Write')
      await turn(model, send)
      const { approval } = await heard.when('approval-requested')
      expect(approval).toMatchObject({ choices: ['allow-once', 'deny', 'abort'] })
      await expect(answer(runtime, approval, { decision: 'allow-always' })).rejects.toMatchObject({
        code: 'invalid-argument',
      })
    }
  })
})

describe('middleware that changes a call', () => {
  const middleware = [
    {
      name: 'domain',
      beforeTool: ({ input }: { input: unknown }) => ({ input: { ...(input as object), to: 'ada@b.c' } }),
    },
  ]

  test('has it start with that input, which is what a person is asked about, also after a reload', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const first = start(alive, { middleware, tool: { approval: 'always' } })
    const { runId } = first.session.send('Write')
    await turn(first.model, send)
    const { approval } = await first.heard.when('approval-requested')
    expect(approval).toMatchObject({ input: { to: 'ada@b.c' }, arguments: '{"to":"ada@b.c"}' })
    await first.heard.when('run-waiting')
    alive.die()
    const { model, runtime, heard } = start(store, { tool: { approval: 'always' } })
    await runtime.approvals.ready
    await answer(runtime, approval, { decision: 'allow-once' })
    const { options } = await turn(model)
    expect(options.prompt.at(-1)?.content).toMatchObject([{ output: { type: 'text', value: 'done' } }])
    expect(heard.of('tool-execution-started')).toMatchObject([{ input: { to: 'ada@b.c' } }])
    expect(await store.readCalls(runId)).toMatchObject([{ input: { to: 'ada@b.c' }, edited: 'middleware' }])
    expect(await runtime.runs.audit(runId)).toContainEqual(
      expect.objectContaining({ transition: 'changed', by: 'middleware:domain' }),
    )
  })

  test('is validated again: what does not fit the tool ends the run, naming the middleware', async () => {
    const { model, session, starts } = start(memoryStore(), {
      middleware: [{ name: 'broken', beforeTool: () => ({ input: { to: 5 } }) }],
    })
    const run = session.send('Write')
    await turn(model, send)
    await expect(run.result).rejects.toMatchObject({
      code: 'middleware-failed',
      message: expect.stringMatching(/"broken".*beforeTool.*to/),
    })
    expect(starts).toEqual([])
  })
})

describe('a call of a page tool', () => {
  test('is not told to its page before a person allowed it', async () => {
    const model = manualModel()
    const pick = tool({ approval: 'always', inputSchema: z.object({}), outputSchema: z.string() })
    const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools: { pick } }), { store: memoryStore() })
    const { port1, port2 } = new MessageChannel()
    serve(runtime, port2)
    let picked = 0
    const page = connect<typeof runtime>(() => port1, { pageTools: { pick: () => `picked ${++picked}` } })
    onTestFinished(() => page.close())
    await page.sessions.list()
    const session = runtime.session('trip')
    const heard = record(session)
    const run = session.send('Pick')
    await turn(model, ['pick', {}, 'p'])
    const { approval } = await heard.when('approval-requested')
    await heard.when('run-waiting', ({ waitingFor }) => waitingFor === 'approval')
    expect(picked).toBe(0)
    await answer(page, approval, { decision: 'allow-once' })
    const { options } = await turn(model)
    expect(options.prompt.at(-1)?.content).toMatchObject([{ output: { value: 'picked 1' } }])
    await run.result
    expectOrder(heard.events)
  })
})
