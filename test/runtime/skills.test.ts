import type { LanguageModelV4CallOptions } from '@ai-sdk/provider'
import { createRuntime, defineAgent, memoryStore, type Skill, type Store, tool } from 'turnloop/runtime'
import { defineSkill } from 'turnloop/skills'
import { reply, type ScriptedTurn, scriptedModel } from 'turnloop/testing'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { problemsOf } from './check-prompt.ts'
import { expectOrder, record } from './record.ts'
import { door, mortal } from './stores.ts'

const stamp = tool({ inputSchema: z.object({}), execute: () => 'stamped' })
const letters = defineSkill({
  name: 'letters',
  description: 'Writes\n  formal letters.',
  instructions: 'Begin with “Dear”, and end with the stamp.',
  tools: { stamp },
})
const maps = defineSkill({ name: 'maps', description: 'Draws maps.', instructions: 'North is up.' })

interface Options {
  readonly store?: Store
  readonly skills?: readonly Skill[]
  readonly more?: object
}

function skilled(
  turns: readonly ScriptedTurn[],
  { store = memoryStore(), skills = [letters, maps], more }: Options = {},
) {
  const model = scriptedModel(turns)
  const runtime = createRuntime(
    defineAgent({ name: 'clerk', model, instructions: 'You are a clerk.', skills, ...more }),
    { store },
  )
  const session = runtime.session('trip')
  return { model, runtime, session, heard: record(session) }
}

const systemOf = (call: LanguageModelV4CallOptions | undefined) =>
  call?.prompt[0]?.role === 'system' ? call.prompt[0].content : ''
const toolsOf = (call: LanguageModelV4CallOptions | undefined) => call?.tools?.map(({ name }) => name)
const load = (name: string) => reply.call('load_skill', { name })

describe('an agent with skills', () => {
  test('tells the model of their names and descriptions, and not of the rest', async () => {
    const { session, model } = skilled([reply.text('Hello')])
    await session.send('Go').result
    const system = systemOf(model.calls[0])
    expect(system).toMatch(/^You are a clerk\.\n\n/)
    expect(system).toContain('- letters: Writes formal letters.\n- maps: Draws maps.')
    expect(system).not.toContain('Dear')
    expect(toolsOf(model.calls[0])).toEqual(['load_skill'])
  })

  test('gives the model a skill’s instructions when it loads it, and its tools from then on', async () => {
    const { session, model, heard } = skilled([
      reply.all(load('letters'), reply.call('stamp', {})),
      reply.call('stamp', {}),
      reply.text('Done'),
    ])
    await session.send('Go').result
    const told = JSON.stringify(model.calls[1]?.prompt.at(-1))
    expect(told).toContain('Begin with “Dear”')
    // It did not know that tool yet.
    expect(told).toContain('There is no tool \\"stamp\\"')
    expect(toolsOf(model.calls[1])).toEqual(['load_skill', 'stamp'])
    expect(systemOf(model.calls[1])).not.toContain('Dear')
    expect(heard.of('tool-execution-finished')).toMatchObject([
      { toolName: 'load_skill', dynamic: true, outcome: 'success', output: { name: 'letters' } },
      { toolName: 'stamp', outcome: 'success', output: 'stamped' },
    ])
    expectOrder(heard.events)
    await session.send('Once more').result.catch(() => {})
    expect(toolsOf(model.calls[3])).toEqual(['load_skill', 'stamp'])
  })

  test('tells the model which skills there are when it loads another one', async () => {
    const { session, model } = skilled([load('toString'), reply.text('Sorry')])
    await session.send('Go').result
    expect(JSON.stringify(model.calls[1]?.prompt.at(-1))).toContain('The skills are: letters, maps.')
    expect(toolsOf(model.calls[1])).toEqual(['load_skill'])
  })

  test('keeps the list of many skills short', async () => {
    const skills = Array.from({ length: 100 }, (_, n) => ({
      ...maps,
      name: `skill-${n}`,
      description: 'x'.repeat(1000),
    }))
    const { session, model } = skilled([reply.text('Hello')], { skills })
    await session.send('Go').result
    expect(systemOf(model.calls[0]).length).toBeLessThan(25_000)
    expect(systemOf(model.calls[0])).toContain('- skill-99: xxx')
  })
})

describe('a loaded skill', () => {
  test('is loaded still after a reload', async () => {
    const store = memoryStore()
    const first = skilled([load('letters'), reply.text('Done')], { store: mortal(store) })
    await first.session.send('Go').result
    const second = skilled([reply.text('Hello')], { store: mortal(store) })
    await second.session.send('Again').result
    expect(toolsOf(second.model.calls[0])).toEqual(['load_skill', 'stamp'])
  })

  test('is loaded again where its owner died while it was loaded', async () => {
    const store = memoryStore()
    const first = mortal(store)
    const hang = door()
    const slow = { beforeTool: () => hang.pass(undefined), name: 'slow' }
    const dying = skilled([load('letters')], { store: first, more: { middleware: [slow] } })
    dying.session.send('Go').detach()
    await hang.reached
    first.die()
    const { model, heard } = skilled([reply.text('Done')], { store: mortal(store) })
    await heard.when('run-completed')
    expect(toolsOf(model.calls[0])).toEqual(['load_skill', 'stamp'])
  })

  test('is not loaded any more once the session is rewound past it', async () => {
    const { session, model } = skilled([load('letters'), reply.text('Done'), reply.text('Anew')])
    await session.send('Go').result
    const [first] = await session.history()
    await session.send('Go elsewhere', { replaces: first?.id ?? '' }).result
    expect(toolsOf(model.calls[2])).toEqual(['load_skill'])
  })

  test('is another agent’s only where that one loads it', async () => {
    const model = scriptedModel([load('maps'), reply.text('Done'), reply.text('Hello')])
    const other = { ...maps, tools: { draw: stamp } }
    const runtime = createRuntime(
      [defineAgent({ name: 'a', model, skills: [maps] }), defineAgent({ name: 'b', model, skills: [other] })],
      { store: memoryStore() },
    )
    const session = runtime.session('trip')
    await session.send('Go', { agent: 'a' }).result
    await session.send('Go', { agent: 'b' }).result
    expect(toolsOf(model.calls[2])).toEqual(['load_skill'])
  })

  test('stands in the system prompt once a summary has taken the place of what loaded it', async () => {
    const long = 'word '.repeat(600)
    const context = { window: 4000, keep: 300, summarise: () => 'They talked.' }
    const { session, model, heard } = skilled(
      [
        load('letters'),
        reply.text(long),
        reply.text(long),
        reply.text(long),
        reply.call('stamp', {}),
        reply.text('Done'),
      ],
      { more: { context } },
    )
    for (const input of ['One', 'Two', 'Three', 'Four']) await session.send(`${input} ${long}`).result
    expect(heard.of('context-compacted').length).toBeGreaterThan(0)
    const last = model.calls.at(-1)
    expect(JSON.stringify(last?.prompt.slice(1))).not.toContain('Begin with “Dear”')
    expect(systemOf(last)).toContain('The skill "letters", which you have loaded:\n\nBegin with “Dear”')
    expect(toolsOf(last)).toEqual(['load_skill', 'stamp'])
    expect(heard.of('tool-execution-finished').at(-1)).toMatchObject({ toolName: 'stamp', outcome: 'success' })
    expect(problemsOf(last?.prompt ?? [])).toEqual([])
  })

  test('stands there, too, where older messages are left out', async () => {
    const long = 'word '.repeat(600)
    const context = { window: 4000, compaction: false as const }
    const { session, model } = skilled(
      [load('letters'), reply.text(long), reply.text(long), reply.text(long), reply.text('Done')],
      { more: { context } },
    )
    for (const input of ['One', 'Two', 'Three', 'Four']) await session.send(`${input} ${long}`).result
    expect(systemOf(model.calls.at(-1))).toContain('Begin with “Dear”')
  })
})

describe('skills are refused where they are defined', () => {
  const model = scriptedModel([])
  test.each([
    ['two of one name', { skills: [maps, maps] }, /two of its skills are named "maps"/],
    ['a tool of the agent’s name', { skills: [letters], tools: { stamp } }, /two tools named "stamp"/],
    ['a tool of another skill’s name', { skills: [letters, { ...maps, tools: { stamp } }] }, /two tools named "stamp"/],
    ['an own load_skill', { skills: [maps], tools: { load_skill: stamp } }, /"load_skill"/],
    ['a skill’s load_skill', { skills: [{ ...maps, tools: { load_skill: stamp } }] }, /"load_skill"/],
    ['a bad name', { skills: [{ ...maps, name: '__proto__' }] }, /name has up to 64/],
    ['no skill', { skills: [null] }, /name/],
    ['no list', { skills: maps }, /list/],
    ['a tool that is none', { skills: [{ ...maps, tools: { a: 1 } }] }, /tool "a"/],
    ['too many', { skills: Array.from({ length: 101 }, (_, n) => ({ ...maps, name: `s${n}` })) }, /over 100/],
  ])('%s', (_, more, message) => {
    expect(() => defineAgent({ name: 'clerk', model, ...(more as object) })).toThrow(message)
  })

  test('but a tool named load_skill is fine without skills, and the policy may name theirs', () => {
    defineAgent({ name: 'clerk', model, tools: { load_skill: stamp } })
    defineAgent({ name: 'clerk', model, skills: [letters], toolPolicy: { stamp: { serial: true }, load_skill: {} } })
  })
})
