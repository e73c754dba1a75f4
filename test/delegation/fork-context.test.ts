import { jsonSchema, tool } from 'turnloop/runtime'
import { reply } from 'turnloop/testing'
import { describe, expect, it } from 'vitest'
import { family, helperAgent, scripted, start, started } from './family.ts'

const look = tool({ inputSchema: jsonSchema<object>({ type: 'object' }), execute: () => 'seen' })

describe('an agent that gets the conversation', () => {
  it('is told what was said before, without calls, and then its prompt', async () => {
    const lead = scripted(
      reply.all(reply.reasoning('Hm.'), reply.text('I look.'), reply.call('look', {})),
      reply.text('It is red.'),
      reply.all(reply.text('I ask.'), start('Which color?', { fork_context: true })),
      reply.text('Done.'),
    )
    const helper = scripted(reply.text('Red.'))
    const { runtime, heard } = family(lead, [helperAgent(helper)], { tools: { look } })
    const session = runtime.session('s')
    await session.send({ text: 'Look', files: [new Blob(['a note'], { type: 'text/plain' })] }).result
    await session.send('Ask').result
    expect(helper.calls[0]?.prompt).toMatchObject([
      {
        role: 'user',
        content: [
          { type: 'file', mediaType: 'text/plain' },
          { type: 'text', text: 'Look' },
        ],
      },
      {
        role: 'assistant',
        content: [
          { type: 'text', text: 'I look.' },
          { type: 'text', text: 'It is red.' },
        ],
      },
      { role: 'user', content: [{ type: 'text', text: 'Ask' }] },
      { role: 'user', content: [{ type: 'text', text: 'Which color?' }] },
    ])
    const [childId = ''] = started(heard)
    const child = await runtime.session(childId).view.ready
    expect(child.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'user', 'assistant'])
    expect(child.messages.at(-1)?.metadata?.runId).toBe(childId)
    const file = child.messages[0]?.parts.find((part) => part.type === 'file')
    expect(await (await runtime.session(childId).file(file?.type === 'file' ? file.url : '')).text()).toBe('a note')
  })

  it('is told nothing of what was rewound', async () => {
    const lead = scripted(reply.text('Old.'), start('Which?', { fork_context: true }), reply.text('Done.'))
    const helper = scripted(reply.text('Yes.'))
    const { runtime } = family(lead, [helperAgent(helper)])
    const session = runtime.session('s')
    await session.send('Secret').result
    const [first] = (await session.view.ready).messages
    await session.send('Ask', { replaces: first?.id ?? '' }).result
    expect(JSON.stringify(helper.calls[0]?.prompt)).not.toMatch(/Secret|Old/)
  })
})
