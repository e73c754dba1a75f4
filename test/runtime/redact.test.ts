import { createRuntime, defineAgent, memoryStore, type RedactOptions, redact, type Store, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import { problemsOf } from './check-prompt.ts'
import { manualModel } from './manual-model.ts'
import { record } from './record.ts'
import { door, drafted, hooked, mortal } from './stores.ts'

const secret = 'hunter2'
type Options = Partial<Omit<AgentDefinition, 'name' | 'tools'>> & Pick<AgentDefinition, 'model'>

/** A store, and everything that was written to it. */
function watched(store: Store = memoryStore()) {
  const written: string[] = []
  const watching = hooked(store, (method, args, call) => {
    if (!method.startsWith('read')) written.push(JSON.stringify(args))
    return call()
  })
  return { store: watching, written }
}

const leak = tool({
  inputSchema: z.object({ how: z.string() }),
  execute: ({ how }) => {
    if (how === 'throw') throw new Error(`The password is ${secret}`)
    if (how === 'text') return `It is ${secret}.`
    return { [secret]: [`a ${secret} b`, 5, null], 'list of things': { deep: [secret] } }
  },
})
const form = tool({ inputSchema: z.object({}), outputSchema: z.string() })

function start(options: Options, redacting: RedactOptions = { patterns: [secret] }) {
  const { store, written } = watched()
  const agent = defineAgent({ name: 'assistant', tools: { leak, form }, middleware: [redact(redacting)], ...options })
  const runtime = createRuntime(agent, { store })
  const session = runtime.session('trip')
  return { runtime, session, written, store, heard: record(session) }
}

const call = (how: string) => reply.call('leak', { how }, { toolCallId: how })

describe('redact takes a secret out of', () => {
  test('inputs, and what is derived from them', async () => {
    const model = scriptedModel([reply.text('Hi')])
    const { session, written, heard } = start({ model })
    await session.send(`It is ${secret}`).result
    expect(written.join()).not.toContain(secret)
    expect(heard.of('run-started')).toMatchObject([{ input: 'It is [redacted]' }])
    expect(JSON.stringify(model.calls)).not.toContain(secret)
    expect((await session.view.ready).title).toBe('It is [redacted]')
  })

  test('names of files', async () => {
    const model = scriptedModel([reply.text('Hi')])
    const { session, written } = start({ model })
    const file = { data: new Uint8Array([1]), mediaType: '', filename: `${secret}.png` }
    await session.send({ text: '', files: [file] }).result
    expect(written.join()).not.toContain(secret)
    expect(model.calls[0]?.prompt[0]?.content).toMatchObject([{ mediaType: 'image/png', filename: '[redacted].png' }])
    expect((await session.view.ready).title).toBe('[redacted].png')
  })

  test('outputs of tools, keys and errors included', async () => {
    const model = scriptedModel([reply.all(call('object'), call('text'), call('throw')), reply.text('Done')])
    const { session, written, heard } = start({ model })
    await session.send('Go').result
    expect(written.join()).not.toContain(secret)
    expect(JSON.stringify(model.calls[1])).not.toContain(secret)
    expect(problemsOf(model.calls[1]?.prompt ?? [])).toEqual([])
    const outcomes = heard.of('tool-execution-finished')
    expect(outcomes.find(({ toolCallId }) => toolCallId === 'object')).toMatchObject({
      output: { '[redacted]': ['a [redacted] b', 5, null], 'list of things': { deep: ['[redacted]'] } },
    })
    expect(outcomes.find(({ toolCallId }) => toolCallId === 'throw')).toMatchObject({
      errorText: 'Error: The password is [redacted]',
    })
  })

  test('answers to forms, and what is answered in the place of a tool', async () => {
    const model = scriptedModel([reply.call('form', {}, { toolCallId: 'f' }), reply.text('Done')])
    const { session, written, heard } = start({ model })
    const { result } = session.send('Go')
    await heard.when('run-waiting')
    await session.addToolOutput({ tool: 'form', toolCallId: 'f', output: `It is ${secret}` })
    await result
    expect(written.join()).not.toContain(secret)
    expect(heard.of('tool-execution-finished')).toMatchObject([{ output: 'It is [redacted]' }])
  })

  test('answers and reasoning', async () => {
    const model = scriptedModel([reply.all(reply.reasoning(`Is it ${secret} ?`), reply.text(`So it is ${secret}`))])
    const { session, written } = start({ model })
    onTestFinished(session.view.subscribe(() => {}))
    expect(await session.send('Go').result).toMatchObject({ text: 'So it is [redacted]' })
    await expect
      .poll(() => session.view.getSnapshot().messages.at(-1)?.parts)
      .toMatchObject([{ text: 'Is it [redacted] ?' }, { text: 'So it is [redacted]' }])
    expect(written.join()).not.toContain(secret)
  })

  test('structured output, and one that had to be repaired', async () => {
    const model = scriptedModel([reply.text(`{"word": 5, "was": "${secret}"}`), reply.text(`{"word": "${secret}"}`)])
    const { session, written } = start({ model, output: z.object({ word: z.string() }) })
    expect(await session.send('Go').result).toMatchObject({ output: { word: '[redacted]' } })
    expect(model.calls).toHaveLength(2)
    expect(written.join()).not.toContain(secret)
    expect(JSON.stringify(model.calls)).not.toContain(secret)
  })

  test('prompts: the instructions, and what was stored before', async () => {
    const { store } = watched()
    const first = scriptedModel([reply.text(`It is ${secret}`)])
    await createRuntime(defineAgent({ name: 'assistant', model: first }), { store })
      .session('trip')
      .send(secret).result
    const model = scriptedModel([reply.text('Hi')])
    const agent = defineAgent({
      name: 'assistant',
      model,
      instructions: `Never say ${secret}`,
      middleware: [redact({ patterns: [secret] })],
    })
    await createRuntime(agent, { store }).session('trip').send('Go').result
    expect(model.calls[0]?.prompt).toHaveLength(4)
    expect(JSON.stringify(model.calls)).not.toContain(secret)
  })

  test('what a model failed with, and the end of the run', async () => {
    const fails = () => Promise.reject(new Error(`Bad password ${secret}`))
    const fallback = scriptedModel([fails])
    const { session, written } = start({ model: scriptedModel([fails]), fallbacks: [fallback] })
    const error = { message: expect.stringContaining('Bad password [redacted]') }
    await expect(session.send('Go').result).rejects.toMatchObject(error)
    expect(written.join()).not.toContain(secret)
  })

  test('summaries, and what they are made from', async () => {
    const words = 'word '.repeat(450)
    const model = scriptedModel([
      reply.text(`${words} ${secret}`),
      reply.text(`A summary with ${secret}`),
      reply.text('Hi'),
    ])
    const { session, written, heard } = start({ model, context: { window: 500, keep: 50 } })
    await session.send('Tell me').result
    await session.send('And now?').result
    expect(heard.of('context-compacted')).toHaveLength(1)
    expect(written.join()).not.toContain(secret)
    expect(written.join()).toContain('A summary with [redacted]')
    expect(JSON.stringify(model.calls)).not.toContain(secret)
  })

  test('the draft of an answer, also where only its beginning is written', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    onTestFinished(() => void vi.useRealTimers())
    const model = manualModel()
    const { session, written, store, heard } = start({ model })
    const run = session.send('Go')
    const asked = await model.next()
    const drafts = async (parts: number) => {
      await vi.advanceTimersByTimeAsync(300)
      await expect.poll(() => drafted(store)).toBe(parts)
    }
    asked.text('x'.repeat(200))
    asked.text(` It is ${secret.slice(0, 4)}`)
    await heard.when('text-delta', ({ delta }) => delta.includes('It is'))
    await drafts(1)
    expect(written.join()).not.toContain(secret.slice(0, 4))
    asked.text(secret.slice(4))
    asked.text(` and so on ${'y'.repeat(200)}`)
    await heard.when('text-delta', ({ delta }) => delta.includes('and so on'))
    await drafts(1)
    await expect.poll(() => written.join()).toContain('It is [redacted] and so on')
    await run.stop()
    expect(written.join()).not.toContain(secret)
  })

  test('what was left of an answer whose owner died', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    onTestFinished(() => void vi.useRealTimers())
    const store = memoryStore()
    const alive = mortal(store)
    const model = manualModel()
    const agent = defineAgent({
      name: 'assistant',
      model,
      resume: 'never',
      middleware: [redact({ patterns: [secret] })],
    })
    const session = createRuntime(agent, { store: alive }).session('trip')
    const first = record(session)
    session.send('Go')
    const asked = await model.next()
    asked.text(`It is ${secret} ${'y'.repeat(200)}`)
    await first.when('text-delta')
    await vi.advanceTimersByTimeAsync(300)
    await expect.poll(() => drafted(store)).toBe(1)
    alive.die()
    const next = createRuntime(agent, { store }).session('trip')
    const heard = record(next)
    onTestFinished(next.view.subscribe(() => {}))
    await heard.when('run-stopped')
    expect(JSON.stringify(await next.history())).toContain('It is [redacted] y')
  })

  test('the ledger and its audit trail, but for the inputs that tools get', async () => {
    const got: unknown[] = []
    const take = tool({ inputSchema: z.object({ word: z.string() }), execute: ({ word }) => void got.push(word) })
    const model = scriptedModel([reply.all(reply.call('take', { word: secret }), call('throw')), reply.text('Done')])
    const { session, runtime } = start({ model, tools: { take, leak } } as never)
    const run = session.send('Go')
    await run.result
    expect(got).toEqual([secret])
    expect(JSON.stringify(await runtime.runs.audit(run.runId))).not.toContain(secret)
    expect(JSON.stringify(model.calls[1]?.prompt)).not.toContain(secret)
  })
})

test('redact takes a secret out of what a tool gives after the run was stopped', async () => {
  const held = door()
  const slow = tool({ inputSchema: z.object({}), execute: () => held.pass(`It is ${secret}`) })
  const { session, store, written } = start({
    model: scriptedModel([reply.call('slow', {})]),
    tools: { slow },
  } as never)
  const run = session.send('Go')
  await held.reached
  await run.stop()
  held.open()
  await expect.poll(() => store.readCalls(run.runId)).toMatchObject([{ late: { output: 'It is [redacted]' } }])
  expect(written.join()).not.toContain(secret)
})

test('two keys that come to the same text are both kept', async () => {
  const list = tool({ inputSchema: z.object({}), execute: () => ({ 'a@b.org': 1, 'c@d.org': 2, 'e@f.org': 3 }) })
  const model = scriptedModel([reply.call('list', {}), reply.text('Done')])
  const { session, heard } = start({ model, tools: { list } } as never, { kinds: ['email'], replacement: 'X' })
  await session.send('Go').result
  expect(heard.of('tool-execution-finished')).toMatchObject([{ output: { X: 1, 'X 2': 2, 'X 3': 3 } }])
})

describe('redact finds', () => {
  const cleaned = (options: RedactOptions, text: string) => redact(options).onText?.(text)

  test.each([
    ['a string, as it is', { patterns: ['a.b'] }, 'a.b axb a.b', '[redacted] axb [redacted]'],
    ['a pattern, wherever it stands', { patterns: [/b+/] }, 'abba abba', 'a[redacted]a a[redacted]a'],
    ['a global pattern', { patterns: [/b+/g] }, 'abba', 'a[redacted]a'],
    ['a sticky pattern', { patterns: [/b+/y] }, 'abba', 'a[redacted]a'],
    ['a pattern with flags', { patterns: [/B+/iu] }, 'abba', 'a[redacted]a'],
    ['with a replacement that is taken as it is', { patterns: ['b'], replacement: '$&$1' }, 'abc', 'a$&$1c'],
    ['addresses', { kinds: ['email'] }, 'To ann.b+c@mail.example.org, or @ann', 'To [redacted], or @ann'],
    ['cards', { kinds: ['card'] }, '4111 1111 1111 1111 and 4111-1111-1111-1112', '[redacted] and 4111-1111-1111-1112'],
    [
      'keys',
      { kinds: ['key'] },
      'sk-proj-abcdefgh1234 Bearer abcdefgh.123 ghp_0123456789ab',
      '[redacted] [redacted] [redacted]',
    ],
    [
      'nothing else',
      { kinds: ['email', 'card', 'key'] },
      'A task at 1737000000000, sk-1',
      'A task at 1737000000000, sk-1',
    ],
  ] as [string, RedactOptions, string, string][])('%s', (_, options, text, expected) => {
    expect(cleaned(options, text)).toBe(expected)
  })

  test('the same in every text, whatever a pattern of its own remembers', () => {
    const pattern = /b/g
    pattern.lastIndex = 5
    const { onText } = redact({ patterns: [pattern] })
    expect([onText?.('b b'), onText?.('b')]).toEqual(['[redacted] [redacted]', '[redacted]'])
    expect(pattern.lastIndex).toBe(5)
  })

  test.each(['email', 'card', 'key'] as const)('%s in a long hostile text in no time', (kind) => {
    const hostile = { email: 'a.'.repeat(100_000), card: '1 '.repeat(100_000), key: 'eyJ-'.repeat(50_000) }[kind]
    expect(cleaned({ kinds: [kind] }, hostile)?.length).toBeGreaterThan(0)
  })
})

test.each([
  ['nothing to find', {}, /give `patterns`/],
  ['an empty string', { patterns: [''] }, /matches nothing in particular/],
  ['a pattern that matches nothing', { patterns: [/x*/] }, /matches nothing in particular/],
  ['a pattern that may take for ever', { patterns: [/(a+)+b/] }, /can take exponential time/],
  ['what is no pattern', { patterns: [5] }, /a pattern is a string or a RegExp/],
  ['an unknown kind', { kinds: ['toString'] }, /kinds are email, card, key/],
  ['a replacement that is no string', { patterns: ['a'], replacement: 5 }, /replacement must be/],
])('redact refuses %s', (_, options, message) => {
  expect(() => redact(options as RedactOptions)).toThrow(
    expect.objectContaining({ code: 'invalid-argument', message: expect.stringMatching(message) }),
  )
})

describe('an onText of your own', () => {
  const broken = { name: 'broken', onText: (text: string) => (text.includes(secret) ? (5 as never) : text) }
  const error = { code: 'middleware-failed', message: 'Middleware "broken" failed in onText: it must give a string' }

  test('that fails on an input has it refused', async () => {
    const { session, written } = start({ model: scriptedModel([]), middleware: [broken] })
    await expect(session.send(secret).result).rejects.toMatchObject(error)
    expect(written).toEqual([])
  })

  test.each([
    ['an answer', [reply.text(`It is ${secret}`)]],
    ['an output', [call('text'), reply.text('Done')]],
    ['an error', [() => Promise.reject(new Error(secret))]],
  ] as const)('that fails on %s ends the run as failed, and the text is withheld', async (_, turns) => {
    const { session, written, heard } = start({ model: scriptedModel([...turns]), middleware: [broken] })
    await expect(session.send('Go').result).rejects.toMatchObject(error)
    expect(heard.of('run-failed')).toHaveLength(1)
    expect(written.join()).not.toContain(secret)
  })
})
