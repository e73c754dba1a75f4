import type { LanguageModelV4 } from '@ai-sdk/provider'
import { createRuntime, defineAgent, indexedDbStore } from 'turnloop/runtime'
import { tools } from '../add-tool.ts'
import { growLongSession, longSession } from '../long-session.ts'
import { measuredStore, type Span } from '../measured-store.ts'
import { alternate } from '../rounds.ts'
import { median, type Row, rowOf } from '../row.ts'
import { scriptModel } from '../script-model.ts'

/** Turns of each run. The first one reads the history, and is not taken. */
const turns = 12

/**
 * What lies between two turns in a session of 10,000 messages: from the commit of the results to the call of the model, whose
 * prompt holds every message. Beside it what any provider then does with that prompt, its serialisation.
 */
export async function buildContext(): Promise<Row[]> {
  await growLongSession()
  const provider: number[] = []
  const measured = async (window?: number) => {
    const spans: Span[] = []
    const between: number[] = []
    const serialised: number[] = []
    const script = scriptModel({ deltas: turns, toolCalls: turns - 1 })
    const model: LanguageModelV4 = {
      ...script,
      doStream(options) {
        const asked = performance.now()
        const last = spans.findLast(({ method }) => method === 'commit')
        if (options.prompt.length < longSession.messages) throw new Error('The prompt does not hold the session.')
        if (last && options.prompt.at(-1)?.role === 'tool') between.push(asked - last.end)
        JSON.stringify(options.prompt)
        serialised.push(performance.now() - asked)
        return script.doStream(options)
      },
    }
    // Its model makes the same call over and over.
    const agent = defineAgent({ name: 'bench', model, tools, doomLoop: false, ...(window && { context: { window } }) })
    const store = measuredStore(indexedDbStore({ name: longSession.database }), spans)
    const runtime = createRuntime(agent, { store })
    await runtime.session(longSession.id).send('A question?').result
    await runtime.close()
    if (between.length !== turns - 1) throw new Error(`${between.length} turns came after a result.`)
    provider.push(median(serialised))
    return median(between)
  }
  const { plain, limited } = await alternate({ plain: () => measured(), limited: () => measured(100_000_000) })
  const note = 'from the commit of the results to doStream'
  return [
    rowOf({
      name: 'the next turn’s context, of 10,000 messages',
      unit: 'ms',
      samples: plain,
      atMost: 2,
      peer: { name: 'JSON.stringify of its prompt', samples: provider },
      note,
    }),
    rowOf({ name: 'the same within a window', unit: 'ms', samples: limited, atMost: 2, note }),
  ]
}
