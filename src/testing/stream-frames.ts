import type { LanguageModelV4StreamPart } from '@ai-sdk/provider'
import type { Frame } from './frames.ts'

/**
 * Streams frames as a provider does: each when it is asked for, `pace` milliseconds after the one before. An abort breaks
 * the stream off at once, whatever it is at, with the signal's reason.
 */
export function streamFrames(
  frames: readonly Frame[],
  pace: number,
  signal: AbortSignal | undefined,
): ReadableStream<LanguageModelV4StreamPart> {
  let next = 0
  let controller: ReadableStreamDefaultController<LanguageModelV4StreamPart>
  const onAbort = () => controller.error(signal?.reason)
  const ended = () => signal?.removeEventListener('abort', onAbort)
  return new ReadableStream<LanguageModelV4StreamPart>(
    {
      start: (own) => {
        controller = own
        if (signal?.aborted) onAbort()
        else signal?.addEventListener('abort', onAbort, { once: true })
      },
      pull: async () => {
        const frame = frames[next++]
        if (frame && 'hangs' in frame) return until(signal)
        if (pace > 0 && next > 1) await sleep(pace, signal)
        if (signal?.aborted) return
        if (frame && 'part' in frame) return controller.enqueue(frame.part)
        ended()
        if (frame) controller.error(frame.breaks)
        else controller.close()
      },
      cancel: ended,
    },
    // Nothing is made ahead of the reader: a stream that breaks drops what waits in it.
    { highWaterMark: 0 },
  )
}

/** Resolves when the signal aborts; without one, never. */
export const until = (signal: AbortSignal | undefined) =>
  new Promise<void>((resolve) => {
    if (signal?.aborted) resolve()
    else signal?.addEventListener('abort', () => resolve(), { once: true })
  })

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms)
    function done() {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    signal?.addEventListener('abort', done, { once: true })
  })
}
