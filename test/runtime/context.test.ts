import type { LanguageModelV4CallOptions } from '@ai-sdk/provider'
import { createRuntime, defineAgent, memoryStore, tool } from 'turnloop/runtime'
import { type Reply, reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { ContextOptions } from '../../src/agent/context-options.ts'
import { problemsOf } from './check-prompt.ts'
import { manualClock } from './clock.ts'
import { expectOrder, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

/** So many words, each a token. */
const words = (count: number) => 'word '.repeat(count).trim()
const isSummary = ({ prompt }: LanguageModelV4CallOptions) => /^Summarise/.test(String(prompt[0]?.content))
const textOf = (value: unknown) => JSON.stringify(value)

interface Behaviour {
  readonly answer?: (call: LanguageModelV4CallOptions, n: number) => Reply
  readonly summary?: (call: LanguageModelV4CallOptions, n: number) => Reply | Promise<Reply>
}

/** A model that is asked for answers and for summaries, each by their number from 1. */
function model({ answer = () => reply.text(words(100)), summary = (_, n) => reply.text(`Summary ${n}`) }: Behaviour) {
  let answers = 0
  let summaries = 0
  const scripted = scriptedModel(
    Array.from(
      { length: 60 },
      () => (call: LanguageModelV4CallOptions) =>
        isSummary(call) ? summary(call, ++summaries) : answer(call, ++answers),
    ),
  )
  return Object.defineProperties(scripted, {
    asked: { get: () => scripted.calls.filter((call) => !isSummary(call)) },
    summarised: { get: () => scripted.calls.filter(isSummary) },
  }) as typeof scripted & Record<'asked' | 'summarised', typeof scripted.calls>
}

const window: ContextOptions = { window: 500, keep: 150 }

function sessionWith(
  behaviour: Behaviour,
  context: ContextOptions | undefined,
  options: object = {},
  clock: Partial<ReturnType<typeof manualClock>> = {},
) {
  const asked = model(behaviour)
  const agent = defineAgent({
    name: 'a',
    model: asked,
    instructions: 'Be brief.',
    ...(context && { context }),
    ...options,
  })
  const store = memoryStore()
  const { now, sleep } = clock
  const session = createRuntime(agent, { store, ...(now && { now }), ...(sleep && { sleep }) }).session('trip')
  return { agent, asked, store, session, heard: record(session) }
}

const look = tool({ inputSchema: z.object({ n: z.number() }), execute: ({ n }) => `${n} ${words(60)}` })
const looks = (n: number) => reply.call('look', { n })

describe('a context that is too large is trimmed', () => {
  test('to the first message and the newest, and the history keeps them all', async () => {
    const { asked, session, heard } = sessionWith({}, { window: 500, compaction: false })
    for (const n of [1, 2, 3, 4, 5, 6]) await session.send(`question ${n}`).result
    const prompt = asked.calls.at(-1)?.prompt ?? []
    expect(problemsOf(prompt)).toEqual([])
    expect(textOf(prompt.slice(0, 2))).toContain('question 1')
    expect(textOf(prompt.at(-1))).toContain('question 6')
    expect(textOf(prompt)).not.toContain('question 3')
    expect(heard.of('context-built').map(({ trimmedCount }) => trimmedCount > 0)).toEqual([
      false,
      false,
      false,
      false,
      true,
      true,
    ])
    for (const { estimatedTokens, window } of heard.of('context-built')) {
      expect(estimatedTokens).toBeLessThanOrEqual(400)
      expect(window).toBe(500)
    }
    expect((await session.view.ready).messages).toHaveLength(12)
    expect(asked.summarised).toEqual([])
    expectOrder(heard.events)
  })

  test('by the window of the model that is asked, where it is known', async () => {
    const { asked, session, heard } = sessionWith({}, { window: { 'scripted-model': 500 }, compaction: false })
    for (const n of [1, 2, 3, 4, 5]) await session.send(`question ${n}`).result
    expect(heard.of('context-built').at(-1)).toMatchObject({ window: 500 })
    expect(textOf(asked.calls.at(-1)?.prompt)).toContain('left out')

    const other = sessionWith({}, { window: { toString: 500 }, compaction: false })
    for (const n of [1, 2, 3, 4, 5]) await other.session.send(`question ${n}`).result
    expect(other.heard.of('context-built').at(-1)).toMatchObject({ trimmedCount: 0, messageCount: 9 })
    expect(other.heard.of('context-built').at(-1)).not.toHaveProperty('window')
  })

  test('not without a window', async () => {
    const { session, heard } = sessionWith({}, undefined)
    for (const n of [1, 2, 3, 4, 5, 6]) await session.send(`question ${n}`).result
    expect(heard.of('context-built').at(-1)).toMatchObject({ trimmedCount: 0, messageCount: 11 })
  })

  test('by the tokens that the provider reports, once it has', async () => {
    // Each estimated token is two of the provider's.
    const { session, heard } = sessionWith(
      {
        answer: ({ prompt }) =>
          reply.all(
            reply.text('Yes'),
            reply.finish({ usage: { inputTokens: 2 * (textOf(prompt).match(/word/g)?.length ?? 0), outputTokens: 1 } }),
          ),
      },
      undefined,
    )
    const before = await session.send(words(1_000)).result.then(() => heard.of('context-built').at(-1))
    for (let n = 0; n < 6; n++) await session.send('And now?').result
    const after = heard.of('context-built').at(-1)
    expect(before?.estimatedTokens).toBeLessThan(1_050)
    expect(after?.estimatedTokens).toBeGreaterThan(1_900)
    expect(after?.estimatedTokens).toBeLessThan(2_200)
  })
})

describe('the older part of a context that is nearly full is summarised', () => {
  test('by the model, without tools, and the newest messages stay as they are', async () => {
    const { asked, session, heard } = sessionWith(
      { summary: (_, n) => reply.all(reply.text(`Summary ${n}`), reply.finish({ usage: { inputTokens: 7 } })) },
      window,
      { tools: { look } },
    )
    for (const n of [1, 2, 3, 4, 5]) await session.send(`question ${n}`).result
    expect(asked.summarised).toHaveLength(1)
    expect(asked.summarised[0]?.tools).toBeUndefined()
    expect(textOf(asked.summarised[0]?.prompt)).toContain('question 1')

    const prompt = asked.calls.at(-1)?.prompt ?? []
    expect(problemsOf(prompt)).toEqual([])
    expect(prompt[0]?.content).toBe('Be brief.')
    expect(textOf(prompt[1])).toContain('Summary 1')
    expect(textOf(prompt.at(-1))).toContain('question 5')
    expect(textOf(prompt)).not.toContain('question 1')

    const [compacted] = heard.of('context-compacted')
    expect(compacted?.tokensBefore).toBeGreaterThan(400)
    expect(compacted?.tokensAfter).toBeLessThan(300)
    expect(compacted?.messagesBefore).toBe(9)
    expect(compacted?.messagesAfter).toBeLessThan(5)
    expect((await session.view.ready).messages).toHaveLength(10)
    // It is paid for as any call is, and is no turn.
    const output = await session.send('question 6').result
    expect(heard.of('usage-recorded').map(({ usage }) => usage.inputTokens)).toContain(7)
    expect(output.turns).toBe(1)
    expect((await session.view.ready).usage.inputTokens).toBe(7)
    expectOrder(heard.events)
  })

  test('once: the next turns, and the next runtime, go on with the summary', async () => {
    const { agent, asked, store, session } = sessionWith({}, window)
    for (const n of [1, 2, 3, 4, 5]) await session.send(`question ${n}`).result
    await createRuntime(agent, { store }).session('trip').send('question 6').result
    expect(asked.summarised).toHaveLength(1)
    expect(textOf(asked.calls.at(-1)?.prompt)).toContain('Summary 1')
  })

  test('again, when it is full again: the summary before is folded in', async () => {
    const { asked, session } = sessionWith({}, window)
    for (let n = 1; asked.summarised.length < 2; n++) await session.send(`question ${n}`).result
    expect(textOf(asked.summarised[1]?.prompt)).toContain('Summary 1')
    expect(textOf(asked.summarised[1]?.prompt)).not.toContain('question 1')
    const prompt = asked.calls.at(-1)?.prompt ?? []
    expect(textOf(prompt)).toContain('Summary 2')
    expect(textOf(prompt)).not.toContain('Summary 1')
    expect(problemsOf(prompt)).toEqual([])
  })

  test('in the midst of a long run, whose question stays in its own words', async () => {
    const { asked, session, heard } = sessionWith(
      { answer: (_, n) => (n < 10 ? looks(n) : reply.text('Found')) },
      window,
      { tools: { look } },
    )
    const output = await session.send('the very question').result
    expect(output).toMatchObject({ text: 'Found', turns: 10 })
    expect(asked.summarised.length).toBeGreaterThan(0)
    for (const { prompt } of asked.asked) {
      expect(problemsOf(prompt)).toEqual([])
      expect(textOf(prompt)).toContain('the very question')
    }
    for (const { estimatedTokens } of heard.of('context-built')) expect(estimatedTokens).toBeLessThanOrEqual(400)
    expectOrder(heard.events)
  })

  test('by a function of the agent', async () => {
    const given: { roles: string[]; previous: string | undefined }[] = []
    const { asked, session } = sessionWith(
      {},
      {
        ...window,
        summarise: (messages, { previous, signal }) => {
          signal.throwIfAborted()
          given.push({ roles: messages.map(({ role }) => role), previous })
          return `My summary ${given.length}`
        },
      },
    )
    for (let n = 1; given.length < 2; n++) await session.send(`question ${n}`).result
    expect(given[0]).toMatchObject({ roles: ['user', 'assistant', 'user', 'assistant', 'user', 'assistant'] })
    expect(given.map(({ previous }) => previous)).toEqual([undefined, 'My summary 1'])
    expect(asked.summarised).toEqual([])
    expect(textOf(asked.calls.at(-1)?.prompt)).toContain('My summary 2')
  })

  test('not where the agent wants none', async () => {
    const { asked, session } = sessionWith({}, { ...window, compaction: false })
    for (const n of [1, 2, 3, 4, 5, 6]) await session.send(`question ${n}`).result
    expect(asked.summarised).toEqual([])
  })
})

describe('a rewind', () => {
  /** Two summaries: of the first questions, and of more of them. */
  async function summarisedTwice() {
    const given = sessionWith({}, { window: 1_000, keep: 300 })
    let n = 0
    while (given.heard.of('context-compacted').length < 2) await given.session.send(`question ${++n}.`).result
    const messages = await given.session.history()
    const asking = (text: string) => messages.find(({ parts }) => textOf(parts).includes(text))?.id ?? ''
    return { ...given, last: n, asking }
  }

  test('behind the summary goes on with it', async () => {
    const { asked, session, last } = await summarisedTwice()
    await session.regenerate().result
    expect(textOf(asked.calls.at(-1)?.prompt)).toContain('Summary 2')
    expect(textOf(asked.calls.at(-1)?.prompt.at(-1))).toContain(`question ${last}.`)
  })

  test('that hides something of it goes on with the one before, or with none', async () => {
    const { asked, session, asking } = await summarisedTwice()
    await session.send('edited', { replaces: asking('question 7.') }).result
    expect(textOf(asked.calls.at(-1)?.prompt)).not.toContain('Summary 2')
    expect(textOf(asked.calls.at(-1)?.prompt)).toContain('Summary 1')
    await session.send('edited again', { replaces: asking('question 2.') }).result
    const prompt = asked.calls.at(-1)?.prompt ?? []
    expect(textOf(prompt)).not.toContain('Summary')
    expect(textOf(prompt)).toContain('question 1.')
    expect(problemsOf(prompt)).toEqual([])
  })

  test('is followed by summaries of what can be seen', async () => {
    const { asked, session, heard, asking } = await summarisedTwice()
    await session.send('edited', { replaces: asking('question 2.') }).result
    for (let n = 1; heard.of('context-compacted').length < 3; n++) await session.send(`other ${n}.`).result
    const third = textOf(asked.summarised[2]?.prompt)
    expect(third).toContain('question 1.')
    expect(third).toContain('edited')
    expect(third).not.toContain('question 3.')
    expect(third).not.toContain('Summary')
    expectOrder(heard.events)
  })
})

describe('a summary that fails', () => {
  const bad = {
    'the model fails': () => reply.fail(500),
    'is empty': () => reply.text(' '),
    'is longer than what it stands for': () => reply.text(words(1_000)),
  }
  for (const [what, summary] of Object.entries(bad)) {
    test(`never ends a run: it is trimmed instead (${what})`, async () => {
      const { asked, session, heard } = sessionWith({ summary }, window)
      for (const n of [1, 2, 3, 4, 5]) await session.send(`question ${n}`).result
      expect(asked.summarised).toHaveLength(1)
      expect(textOf(asked.calls.at(-1)?.prompt)).toContain('left out')
      expect(heard.of('notice')).toMatchObject([{ code: 'compaction-failed' }])
      expect(heard.of('context-compacted')).toEqual([])
      expectOrder(heard.events)
    })
  }

  const running = { answer: (_: unknown, n: number) => (n < 14 ? looks(n) : reply.text('Found')) }
  const tools = { tools: { look } }

  test('counts against the limits before the model is asked', async () => {
    const usage = { inputTokens: 100, outputTokens: 20 }
    const behaviour: Behaviour = {
      answer: () => reply.all(reply.text(words(100)), reply.finish({ usage })),
      summary: () => reply.finish({ reason: 'stop', usage: { inputTokens: 50 } }),
    }
    const { asked, session } = sessionWith(behaviour, window, { limits: { maxTokens: 50 } })
    let turns = 0
    for (let n = 1; n < 20; n++) {
      turns = asked.asked.length
      const { reason } = await session.send(`question ${n}`).result
      if (asked.summarised.length === 0) continue
      expect(reason).toBe('tokens')
      break
    }
    expect(asked.summarised).toHaveLength(1)
    expect(asked.asked).toHaveLength(turns)
  })

  test('three times in a row opens the circuit: the run makes no more, and the next one tries again', async () => {
    const { asked, session, heard } = sessionWith({ ...running, summary: () => reply.fail(500) }, window, tools)
    expect(await session.send('the question').result).toMatchObject({ text: 'Found' })
    expect(asked.summarised).toHaveLength(3)
    expect(heard.of('compaction-circuit-opened')).toMatchObject([{ consecutiveFailures: 3 }])
    await session.send('another question').result
    expect(asked.summarised).toHaveLength(4)
    for (const { prompt } of asked.asked) expect(problemsOf(prompt)).toEqual([])
    expectOrder(heard.events)
  })

  test('less often in a row does not: one that is made closes it', async () => {
    const { asked, session, heard } = sessionWith(
      {
        answer: (_, n) => (n < 30 ? looks(n) : reply.text('Found')),
        summary: (_, n) => (n % 3 === 0 ? reply.text(`Summary ${n}`) : reply.fail(500)),
      },
      window,
      tools,
    )
    expect(await session.send('the question').result).toMatchObject({ text: 'Found' })
    expect(asked.summarised.length).toBeGreaterThan(6)
    expect(heard.of('compaction-circuit-opened')).toEqual([])
  })

  test('is counted in the store: a reload does not begin anew', async () => {
    const store = memoryStore()
    const first = mortal(store)
    const asked = model({ ...running, summary: () => reply.fail(500) })
    const agent = defineAgent({ name: 'a', model: asked, context: window, ...tools })
    const dying = createRuntime(agent, { store: first }).session('trip')
    const heard = record(dying)
    dying.send('the question').detach()
    await heard.nth(2, 'notice')
    first.die()
    const before = asked.summarised.length
    expect(before).toBe(2)
    const again = createRuntime(agent, { store }).session('trip')
    const stored = record(again, { since: 0 })
    await stored.when('run-completed')
    expect(asked.summarised).toHaveLength(3)
    expect(stored.of('compaction-circuit-opened')).toHaveLength(1)
    expectOrder(stored.events)
  })
})

describe('while a summary is made', () => {
  const hangs = () => sessionWith({ summary: () => reply.hang() }, window)
  const full = async (given: ReturnType<typeof hangs>) => {
    for (const n of [1, 2, 3, 4]) await given.session.send(`question ${n}`).result
    const run = given.session.send('question 5')
    await expect.poll(() => given.asked.summarised.length).toBe(1)
    return run
  }

  test('an abort ends the run at once', async () => {
    const given = hangs()
    const run = await full(given)
    run.abort()
    await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
    expect(given.heard.of('run-cancelled')).toHaveLength(1)
    expect(given.heard.of('notice')).toEqual([])
    expectOrder(given.heard.events)
  })

  test('a stop ends it as stopped, and it can go on', async () => {
    const given = sessionWith({ summary: (_, n) => (n === 1 ? reply.hang() : reply.text('Summary')) }, window)
    const run = await full(given)
    expect(await run.stop()).toMatchObject({ status: 'stopped', reason: 'requested' })
    const resumed = createRuntime(given.agent, { store: given.store }).runs.resume(run.runId)
    expect(await resumed.result).toMatchObject({ status: 'completed' })
    expect(textOf(given.asked.calls.at(-1)?.prompt)).toContain('Summary')
  })

  test('an abort ends a run that waits for a function of the agent', async () => {
    const { session, heard } = sessionWith({}, { ...window, summarise: () => new Promise<string>(() => {}) })
    for (const n of [1, 2, 3, 4]) await session.send(`question ${n}`).result
    const run = session.send('question 5')
    await heard.when('run-started', ({ runId }) => runId === run.runId)
    run.abort()
    await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
    expect(heard.of('run-cancelled')).toHaveLength(1)
  })

  test('a function of the agent that never settles is given up after a while, and counts as failed', async () => {
    for (const [modelTimeout, wait] of [
      [undefined, 60_000],
      [{ firstPart: 90_000 }, 90_000],
      [{ firstPart: 1_000, total: 5_000 }, 5_000],
    ] as const) {
      const clock = manualClock()
      const signals: AbortSignal[] = []
      const summarise = (_: unknown, { signal }: { signal: AbortSignal }) => {
        signals.push(signal)
        return new Promise<string>(() => {})
      }
      const given = sessionWith({}, { ...window, summarise }, modelTimeout && { modelTimeout }, clock)
      for (const n of [1, 2, 3, 4]) await given.session.send(`question ${n}`).result
      const run = given.session.send('question 5')
      expect(await clock.asleep()).toBe(wait)
      clock.advance(wait)
      expect(await run.result).toMatchObject({ status: 'completed' })
      expect(given.heard.of('notice')).toMatchObject([{ code: 'compaction-failed' }])
      expect(signals.map(({ aborted }) => aborted)).toEqual([true])
      expect((await given.store.readRun(run.runId))?.failedSummaries).toBe(1)
      expectOrder(given.heard.events)
    }
  })

  test('a death changes nothing: it is made anew', async () => {
    const store = memoryStore()
    const first = mortal(store)
    const asked = model({ summary: (_, n) => (n === 1 ? reply.hang() : reply.text(`Summary ${n}`)) })
    const agent = defineAgent({ name: 'a', model: asked, context: window })
    const dying = createRuntime(agent, { store: first }).session('trip')
    for (const n of [1, 2, 3, 4]) await dying.send(`question ${n}`).result
    dying.send('question 5').detach()
    await expect.poll(() => asked.summarised.length).toBe(1)
    await expect.poll(async () => (await store.readSession('trip', { messages: 0 }))?.draft).toBeDefined()
    first.die()
    const stored = record(createRuntime(agent, { store }).session('trip'), { since: 0 })
    await stored.nth(5, 'run-completed')
    expect(stored.of('context-compacted')).toHaveLength(1)
    // What it had used by then is booked by estimate, once.
    const booked = stored.of('usage-recorded').filter(({ estimated }) => estimated)
    expect(booked).toHaveLength(1)
    expect(booked[0]?.usage.inputTokens).toBeGreaterThan(50)
    expect(textOf(asked.calls.at(-1)?.prompt)).toContain('Summary 2')
    expect(problemsOf(asked.calls.at(-1)?.prompt ?? [])).toEqual([])
    expectOrder(stored.events)
  })
})

describe('where the provider says that it is more than its context', () => {
  /** Takes no more than so many words. */
  const taking = (limit: number): Behaviour => ({
    answer: ({ prompt }) =>
      (textOf(prompt).match(/word/g)?.length ?? 0) > limit ? reply.fail(413) : reply.text(words(100)),
  })

  test('a summary is made, and the turn is given back', async () => {
    const { asked, session, heard } = sessionWith(taking(350), undefined)
    for (const n of [1, 2, 3, 4]) await session.send(`question ${n}`).result
    const output = await session.send('question 5').result
    expect(output).toMatchObject({ status: 'completed', turns: 1 })
    expect(asked.summarised).toHaveLength(1)
    expect(heard.of('context-compacted')).toHaveLength(1)
    const last = asked.calls.at(-1)?.prompt ?? []
    expect(textOf(last)).toContain('Summary 1')
    expect(problemsOf(last)).toEqual([])
    const own = heard.events.filter(({ runId }) => runId === output.runId)
    expect(own.filter(({ kind }) => kind === 'turn-started')).toHaveLength(1)
    expect(own.filter(({ kind }) => kind === 'message-voided')).toHaveLength(1)
    expectOrder(heard.events)
  })

  test('a stop while there is made room keeps what it had said, and books it', async () => {
    const { promise: summarising, resolve: summarise } = Promise.withResolvers<void>()
    const error = { type: 'error' as const, error: { message: 'maximum context length exceeded' } }
    const { session, heard } = sessionWith(
      {
        answer: (_, n) => (n < 4 ? reply.text(words(100)) : reply.all(reply.text('Half of it'), reply.parts([error]))),
        summary: () => {
          summarise()
          return reply.hang()
        },
      },
      undefined,
    )
    for (const n of [1, 2, 3]) await session.send(`question ${n}`).result
    const run = session.send('question 4')
    await summarising
    const before = (await session.view.ready).usage
    const { text, usage } = await run.stop()
    expect(text).toBe('Half of it')
    const booked = heard.of('usage-recorded').filter(({ runId }) => runId === run.runId)
    // The summary, and the answer.
    expect(booked).toHaveLength(2)
    expect(usage.outputTokens).toBeGreaterThan(0)
    expect(heard.of('usage-recorded').at(-1)?.session.inputTokens).toBe(before.inputTokens + usage.inputTokens)
    expectOrder(heard.events)
  })

  test('it is trimmed where no summary is wanted, and where it fails', async () => {
    for (const [context, summary] of [
      [{ compaction: false } as const, undefined],
      [undefined, () => reply.fail(500)],
    ] as const) {
      const { asked, session, heard } = sessionWith({ ...taking(350), ...(summary && { summary }) }, context)
      for (const n of [1, 2, 3, 4, 5]) await session.send(`question ${n}`).result
      expect(textOf(asked.calls.at(-1)?.prompt)).toContain('left out')
      expectOrder(heard.events)
    }
  })

  test('it is asked three times with less, then the run fails', async () => {
    const { asked, session, heard } = sessionWith(
      { answer: (_, n) => (n > 6 ? reply.fail(413) : reply.text(words(100))) },
      { compaction: false },
    )
    for (const n of [1, 2, 3, 4, 5, 6]) await session.send(`question ${n}`).result
    await expect(session.send('question 7').result).rejects.toMatchObject({ code: 'context-overflow' })
    const sizes = asked.calls.slice(6).map(({ prompt }) => textOf(prompt).length)
    expect(sizes.length).toBeGreaterThan(2)
    expect(sizes.length).toBeLessThanOrEqual(4)
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a))
    expect(heard.of('run-failed')).toHaveLength(1)
    expectOrder(heard.events)
  })

  test('the run fails at once where there is nothing to leave out', async () => {
    const { asked, session } = sessionWith({ answer: () => reply.fail(413) }, undefined)
    await expect(session.send(words(100)).result).rejects.toMatchObject({ code: 'context-overflow' })
    expect(asked.calls).toHaveLength(1)
  })

  test('the rest of the run keeps below that', async () => {
    const { session, heard } = sessionWith(
      {
        answer: ({ prompt }, n) => {
          if ((textOf(prompt).match(/word/g)?.length ?? 0) > 350) return reply.fail(413)
          return n < 12 ? looks(n) : reply.text('Found')
        },
      },
      undefined,
      { tools: { look } },
    )
    expect(await session.send('the question').result).toMatchObject({ text: 'Found' })
    // It was told once; from then on the run knows.
    expect(heard.of('message-voided')).toHaveLength(1)
    expect(heard.of('context-compacted').length).toBeGreaterThan(1)
    expectOrder(heard.events)
  })
})

describe('an answer that is as long as the model’s answers may be', () => {
  const cut = (text: string) => reply.all(reply.text(text), reply.finish({ reason: 'length' }))

  test('is continued, and its text is whole', async () => {
    const { asked, session, heard } = sessionWith(
      { answer: (_, n) => (n < 3 ? cut(`part ${n} `) : reply.text('the end')) },
      undefined,
    )
    expect(await session.send('Tell me').result).toMatchObject({
      text: 'part 1 part 2 the end',
      finishReason: 'stop',
      turns: 3,
    })
    expect(textOf(asked.calls[1]?.prompt.at(-1))).toContain('Go on where you left off')
    for (const { prompt } of asked.calls) expect(problemsOf(prompt)).toEqual([])
    expectOrder(heard.events)
  })

  test('three times; then the run completes as it is', async () => {
    const { asked, session } = sessionWith({ answer: (_, n) => cut(`part ${n} `) }, undefined)
    expect(await session.send('Tell me').result).toMatchObject({
      text: 'part 1 part 2 part 3 part 4 ',
      finishReason: 'length',
      turns: 4,
    })
    await session.send('Tell me more').result
    expect(asked.calls).toHaveLength(8)
    expect(problemsOf(asked.calls[4]?.prompt ?? [])).toEqual([])
  })

  test('is not where somebody set that length, where it has no text, and where it calls', async () => {
    const chosen = sessionWith({ answer: () => cut('as wanted') }, undefined, { settings: { maxOutputTokens: 5 } })
    expect(await chosen.session.send('Tell me').result).toMatchObject({ turns: 1, finishReason: 'length' })
    const silent = sessionWith(
      { answer: () => reply.all(reply.reasoning('Hm'), reply.finish({ reason: 'length' })) },
      undefined,
    )
    expect(await silent.session.send('Tell me').result).toMatchObject({ turns: 1, finishReason: 'length' })
    const calling = sessionWith(
      { answer: () => reply.all(reply.text('Let me'), looks(1), reply.finish({ reason: 'length' })) },
      undefined,
      { tools: { look } },
    )
    expect(await calling.session.send('Tell me').result).toMatchObject({ turns: 1, finishReason: 'length' })
  })

  test('is continued after a reload, no more often', async () => {
    const store = memoryStore()
    const first = mortal(store)
    const asked = model({ answer: (_, n) => cut(`part ${n} `) })
    const agent = defineAgent({ name: 'a', model: asked })
    const dying = createRuntime(agent, { store: first }).session('trip')
    const heard = record(dying)
    const { runId } = dying.send('Tell me').detach()
    await heard.nth(2, 'turn-completed')
    first.die()
    const output = await createRuntime(agent, { store }).runs.get(runId).result
    expect(output).toMatchObject({ finishReason: 'length', turns: 4 })
  })

  test('stops at a limit of turns as any run does', async () => {
    const { session } = sessionWith({ answer: (_, n) => cut(`part ${n} `) }, undefined, { limits: { maxTurns: 2 } })
    expect(await session.send('Tell me').result).toMatchObject({ status: 'stopped', reason: 'max-turns', turns: 2 })
  })
})

test('a view shows how full the context is, also after a reload', async () => {
  const { agent, store, session } = sessionWith(
    { answer: () => reply.all(reply.text('Yes'), reply.finish({ usage: { inputTokens: 120, outputTokens: 30 } })) },
    { window: 500 },
  )
  const leave = session.view.subscribe(() => {})
  await session.view.ready
  await session.send('question').result
  await expect.poll(() => session.view.getSnapshot().context).toEqual({ tokens: 150, window: 500 })
  leave()
  const again = createRuntime(agent, { store }).session('trip')
  expect((await again.view.ready).context).toEqual({ tokens: 150, window: 500 })
})

test('a view does not say how full the context was before a rewind, also after a reload', async () => {
  const held = door()
  let turns = 0
  const { agent, store, session } = sessionWith(
    { answer: () => reply.all(reply.text('Yes'), reply.finish({ usage: { inputTokens: 120, outputTokens: 30 } })) },
    { window: 500 },
    { instructions: () => (++turns === 2 ? held.pass('Be brief.') : 'Be brief.') },
  )
  onTestFinished(session.view.subscribe(() => {}))
  await session.view.ready
  await session.send('question').result
  await expect.poll(() => session.view.getSnapshot().context).toEqual({ tokens: 150, window: 500 })
  const run = session.regenerate()
  await held.reached
  await expect.poll(() => session.view.getSnapshot().context).toEqual({ tokens: 0, window: 500 })
  const again = createRuntime(agent, { store }).session('trip')
  expect((await again.view.ready).context).toEqual({ tokens: 0, window: 500 })
  held.open()
  await run.result
  await expect.poll(() => session.view.getSnapshot().context).toEqual({ tokens: 150, window: 500 })
})

test('a context that can’t be is refused where the agent is defined', () => {
  const refused = (context: object) => () => defineAgent({ name: 'a', model: model({}), context })
  for (const context of [
    { window: 0 },
    { window: { x: 'big' } },
    { compactAt: 0 },
    { compactAt: 80 },
    { keep: 0 },
    { summarise: 'x' },
  ])
    expect(refused(context), textOf(context)).toThrow(/Agent "a": context\./)
  expect(refused({ window: 1, compactAt: 1, keep: 1, summarise: () => '' })).not.toThrow()
})

test('a stop that comes right before a summary of the agent’s own does not wait for it', async () => {
  const held = door()
  let holds = false
  const store = hooked(memoryStore(), async (method, _, call) => {
    if (method === 'readSpend' && holds) await held.pass()
    return call()
  })
  const summarise = () => new Promise<string>(() => {})
  const agent = defineAgent({
    name: 'a',
    model: model({}),
    context: { window: 500, keep: 50, summarise },
    budget: { perDay: { tokens: 1_000_000 } },
  })
  const session = createRuntime(agent, { store }).session('trip')
  for (const n of [90, 90]) await session.send(words(n)).result
  holds = true
  const run = session.send(words(90))
  await held.reached
  const stopped = run.stop()
  held.open()
  expect(await stopped).toMatchObject({ status: 'stopped', reason: 'requested' })
})

test('another tab sees how full the context is while the model is asked, and the window', async () => {
  const store = memoryStore()
  const slow = door()
  const agent = defineAgent({ name: 'a', model: model({ summary: () => reply.text('') }), context: { window: 5_000 } })
  const asking = scriptedModel([async () => slow.pass(reply.text('Hello'))])
  const here = createRuntime(defineAgent({ ...agent, model: asking }), { store: mortal(store) })
  const there = createRuntime(agent, { store: mortal(store) })
  const { view } = there.session('trip')
  onTestFinished(view.subscribe(() => {}))
  await view.ready
  const run = here.session('trip').send(words(600))
  await slow.reached
  await expect.poll(() => view.getSnapshot().context).toMatchObject({ tokens: expect.any(Number), window: 5_000 })
  expect(view.getSnapshot().context.tokens).toBeGreaterThan(500)
  slow.open()
  await run.result
})
