import type { LanguageModelV4Prompt, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, of, textOf } from '../server/ask.ts'
import { checkPrompt } from '../server/check-prompt.ts'
import { serverAt } from '../server/client.ts'
import { startServer, type TestServer } from '../server/server.ts'
import { answer, call, type Protocol, reasoning, say, text, webSearch } from '../server/turns.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

type Content = Extract<LanguageModelV4Prompt[number], { role: 'assistant' }>['content']

/** The assistant message that an answer leaves in the history, provider metadata included. */
function contentOf(parts: LanguageModelV4StreamPart[]): Content {
  const open = new Map<string, { type: 'text' | 'reasoning'; text: string; providerOptions: unknown }>()
  for (const part of parts) {
    if (part.type === 'text-start' || part.type === 'reasoning-start') {
      const type = part.type === 'text-start' ? 'text' : 'reasoning'
      open.set(part.id, { type, text: '', providerOptions: part.providerMetadata })
    }
    const known = 'id' in part && typeof part.id === 'string' ? open.get(part.id) : undefined
    if (known && (part.type === 'text-delta' || part.type === 'reasoning-delta')) known.text += part.delta
  }
  const calls = of(parts, 'tool-call').map(({ toolCallId, toolName, input, providerExecuted, providerMetadata }) => ({
    type: 'tool-call' as const,
    toolCallId,
    toolName,
    input: JSON.parse(input),
    ...(providerExecuted && { providerExecuted }),
    ...(providerMetadata && { providerOptions: providerMetadata }),
  }))
  return [...open.values(), ...calls] as Content
}

const user = (value: string): LanguageModelV4Prompt[number] => ({
  role: 'user',
  content: [{ type: 'text', text: value }],
})
const result = (toolCallId: string): LanguageModelV4Prompt[number] => ({
  role: 'tool',
  content: [{ type: 'tool-result', toolCallId, toolName: 'add', output: { type: 'text', value: '3' } }],
})

describe.each<Protocol>(['responses', 'chat'])('a prompt over %s', (protocol) => {
  const converse = async (turn = answer([reasoning(['Hm']), text('I add'), call('add', { a: 1 })])) => {
    const script = await serverAt(server.origin).script([turn, say('Fine')])
    const { parts } = await ask(script.baseURL, protocol)
    const content = contentOf(parts)
    const toolCallId = of(parts, 'tool-call')[0]?.toolCallId ?? ''
    const next = (...prompt: LanguageModelV4Prompt) =>
      ask(script.baseURL, protocol, { prompt: [user('1+2?'), ...prompt] })
    return { next, content, toolCallId, script }
  }

  it('passes when it returns what was answered, with the results', async () => {
    const { next, content, toolCallId } = await converse()
    expect(textOf((await next({ role: 'assistant', content }, result(toolCallId))).parts)).toBe('Fine')
  })

  it('is refused when a call has no output, and takes no turn', async () => {
    const { next, content, toolCallId, script } = await converse()
    await expect(next({ role: 'assistant', content }, user('Well?'))).rejects.toThrow(
      protocol === 'chat' ? /did not have response messages: call_/ : /No tool output found for function call call_/,
    )
    await expect(next({ role: 'assistant', content })).rejects.toThrow(toolCallId)
    expect((await script.requests()).map(({ turn }) => turn)).toEqual([0, undefined, undefined])
  })

  it('is refused when an output has no call', async () => {
    const { next } = await converse()
    await expect(next(result('call_unknown'))).rejects.toThrow(
      protocol === 'chat' ? /must be a response to a preceding message/ : /No tool call found .* call_unknown/,
    )
  })
})

describe('a prompt over responses', () => {
  const converse = async (turn = answer([reasoning(['Hm']), text('Because of that')])) => {
    const script = await serverAt(server.origin).script([turn, say('Fine')])
    const { parts } = await ask(script.baseURL, 'responses')
    const next = (...prompt: LanguageModelV4Prompt) => ask(script.baseURL, 'responses', { prompt })
    return { next, content: contentOf(parts) }
  }

  it('may name the items of a complete answer', async () => {
    const { next, content } = await converse(answer([reasoning(), webSearch('x', []), text('Found')]))
    expect(textOf((await next(user('Why?'), { role: 'assistant', content }, user('So?'))).parts)).toBe('Fine')
  })

  it('may not name the items of an answer that broke off, for the endpoint did not keep them', async () => {
    const { next, content } = await converse(
      answer([reasoning(['Hm']), text(['Because', ' of that'])], { cutAt: { event: 11 } }),
    )
    expect(content.map(({ type, ...part }) => [type, 'text' in part && part.text])).toEqual([
      ['reasoning', 'Hm'],
      ['text', 'Because'],
    ])
    await expect(next(user('Why?'), { role: 'assistant', content }, user('So?'))).rejects.toThrow(
      /Item with id 'rs_[0-9a-f]+' not found/,
    )
    const plain = content.map(({ providerOptions: _, ...part }) => part) as Content
    expect(textOf((await next(user('Why?'), { role: 'assistant', content: plain }, user('So?'))).parts)).toBe('Fine')
  })

  it('may not leave out what stood between: a reasoning item needs its successor, and the other way round', async () => {
    const { next, content } = await converse()
    const [first, second] = content
    if (!first || !second) throw new Error('the answer has two parts')
    await expect(next(user('Why?'), { role: 'assistant', content: [first] }, user('So?'))).rejects.toThrow(
      /of type 'reasoning' was provided without its required following item/,
    )
    const stored = new Map([['msg_1', { type: 'message', callId: undefined, requires: 'rs_1' }]])
    const body = { input: [{ type: 'item_reference', id: 'msg_1' }] }
    expect(checkPrompt('responses', body, stored)?.message).toMatch(/without its required 'reasoning' item: 'rs_1'/)
  })

  it('goes unchecked where the script says so', async () => {
    const script = await serverAt(server.origin).script([say('Fine')], { checkPrompt: false })
    const { parts } = await ask(script.baseURL, 'responses', { prompt: [user('1+2?'), result('call_unknown')] })
    expect(textOf(parts)).toBe('Fine')
  })
})
