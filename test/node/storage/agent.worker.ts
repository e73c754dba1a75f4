import { createRuntime, defineAgent, serve, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { z } from 'zod'

// An agent that does what it is asked in so many words, with tools that count how often they started.

const channel = new BroadcastChannel('tools')
const started = (name: string) => channel.postMessage(name)
const any = z.object({})
const size = 2 * 1024 * 1024

/** What no disk takes that has no room: text does not compress away. */
const incompressible = () => {
  const words = new Uint32Array(16_384)
  let text = ''
  while (text.length < size) {
    for (const word of crypto.getRandomValues(words)) text += word.toString(36)
  }
  return text
}

const tools = {
  small: tool({
    inputSchema: any,
    serial: true,
    execute: () => {
      started('small')
      return 'done'
    },
  }),
  big: tool({
    inputSchema: any,
    serial: true,
    execute: () => {
      started('big')
      return incompressible()
    },
  }),
  /** Works until the page says that it may end. */
  patient: tool({
    inputSchema: any,
    serial: true,
    execute: () => {
      const ended = new Promise<string>((resolve) => {
        channel.onmessage = ({ data }) => void (data === 'end' && resolve('done'))
      })
      started('patient')
      return ended
    },
  }),
}

const model = scriptedModel(
  Array.from({ length: 100 }, () => ({ prompt }) => {
    const last = prompt.at(-1)
    if (last?.role !== 'user') return reply.text('Done.')
    const asked = last.content.map((part) => (part.type === 'text' ? part.text : '')).join('')
    switch (asked) {
      case 'answer at length':
        return reply.all(
          reply.parts([
            { type: 'text-start', id: 't' },
            { type: 'text-delta', id: 't', delta: incompressible() },
            { type: 'text-end', id: 't' },
          ]),
          reply.call('small', {}),
        )
      case 'use big, then small':
        return reply.all(reply.call('big', {}), reply.call('small', {}))
      case 'use patient, then small':
        return reply.all(reply.text('I will.'), reply.call('patient', {}), reply.call('small', {}))
      default:
        return reply.text(`You said: ${asked}`)
    }
  }),
)

export const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools }))
serve(runtime)
