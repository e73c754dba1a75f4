import { scriptModel } from './script-model.ts'
import { type ScriptName, scripts } from './scripts.ts'
import { runStreamText } from './stream-text-run.ts'

// The AI SDK's loop in a worker that posts each chunk: what one writes without turnloop.

addEventListener('message', async ({ data }: MessageEvent<ScriptName>) => {
  await runStreamText(scriptModel(scripts[data]), (part) => postMessage(part))
  postMessage({ type: 'end of run' })
})
