import type { LanguageModelV4 } from '@ai-sdk/provider'
import { createRuntime, defineAgent, indexedDbStore } from 'turnloop/runtime'
import { growLongSession, longSession } from '../long-session.ts'
import { alternate } from '../rounds.ts'
import { type Row, rowOf } from '../row.ts'
import { scriptModel } from '../script-model.ts'

/**
 * Going on with a run that was interrupted in a session of 10,000 messages: from the making of a runtime that has opened
 * nothing yet to the model call of the new leg, its prompt made of all of them.
 */
export async function resume(): Promise<Row[]> {
  await growLongSession()
  const { samples } = await alternate({ samples: resumeOnce }, 9)
  return [
    rowOf({
      name: 'resume in a session of 10,000 messages, to the model call',
      unit: 'ms',
      samples,
      atMost: 300,
      note: 'from createRuntime, in one thread',
    }),
  ]
}

async function resumeOnce(): Promise<number> {
  const hanging = runtimeOn(new Promise(() => {}))
  const { runId } = hanging.runtime.session(longSession.id).send('A question?').detach()
  await hanging.asked
  // Closing leaves the run as it stands, as a death would.
  await hanging.runtime.close()

  const begun = performance.now()
  const { runtime, asked } = runtimeOn(Promise.resolve())
  const { result } = runtime.runs.get(runId)
  await asked
  const took = performance.now() - begun
  if ((await result).turns !== 1) throw new Error('The run was not the one that was interrupted.')
  await runtime.close()
  return took
}

/** A runtime of its own, as a page that was just opened has it. `asked` resolves when its model is called. */
function runtimeOn(answers: Promise<void>) {
  let tell = () => {}
  const asked = new Promise<void>((resolve) => {
    tell = resolve
  })
  const script = scriptModel({ deltas: 1 })
  const model: LanguageModelV4 = {
    ...script,
    async doStream(options) {
      tell()
      await answers
      return script.doStream(options)
    },
  }
  const agent = defineAgent({ name: 'bench', model })
  return { runtime: createRuntime(agent, { store: indexedDbStore({ name: longSession.database }) }), asked }
}
