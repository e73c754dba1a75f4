// Inputs to runs that are under way, open runs and steps, as users write them.
import type { Input, OpenRun, Session, StepResult } from 'turnloop'
import type { Runtime } from './app.ts'
import { same, takes } from './same.ts'

declare const agent: Runtime
const session = agent.session('trip')

export async function inputs() {
  const steered = session.send('in French', { whenBusy: 'steer' })
  const { inputId, delivered } = await steered.steer('and short')
  same<typeof inputId, string>()
  same<typeof delivered, Promise<void>>()
  same<ReturnType<typeof session.withdraw>, Promise<boolean>>()
  same<ReturnType<typeof session.ask>, Promise<string>>()
  await session.ask('Weather?', { signal: AbortSignal.timeout(1000), agent: 'assistant', model: 'smart' })
  // @ts-expect-error no such way
  session.send('Hi', { whenBusy: 'now' })
}

export async function openRuns() {
  const run = session.open({ agent: 'researcher', limits: { maxTurns: 3 }, idleTimeout: 60_000 })
  same<(typeof run)['on'], OpenRun<typeof run extends OpenRun<infer A> ? A : never>['on']>()
  await run.steer('Hello')
  const { text } = await run.close()
  await agent.runs.get(run.runId).close()
  // @ts-expect-error it waits for nobody
  session.open({ whenBusy: 'steer' })
  // @ts-expect-error no agent of this name
  session.open({ agent: 'nobody' })
  return text
}

export async function steps() {
  let result = await session.step('Weather?', { tools: 'external', model: 'fast' })
  while (result.status === 'pending-tool-calls') {
    for (const call of result.toolCalls) {
      if (call.dynamic) continue
      if (call.toolName === 'forecast') {
        same<typeof call.input, { city: string }>()
        await session.addToolOutput({ tool: 'forecast', toolCallId: call.toolCallId, output: { celsius: 21 } })
      }
    }
    result = await session.step(undefined, { tools: 'external' })
  }
  same<
    StepResult['status'],
    'needs-more-turns' | 'done' | 'awaiting-approval' | 'pending-tool-calls' | 'stopped' | 'cancelled' | 'failed'
  >()
  // @ts-expect-error neither here nor there
  await session.step('Hi', { tools: 'elsewhere' })
  // @ts-expect-error not the output of that tool
  await session.addToolOutput({ tool: 'forecast', toolCallId: 'a', output: { fahrenheit: 70 } })
  return result.error?.code ?? result.cost
}

export async function files(form: HTMLInputElement) {
  session.send({ text: 'What is this?', files: form.files ?? [] })
  session.send({ files: [new Blob(['a']), new File(['a'], 'a.txt'), new URL('https://a.example/a.png')] })
  await session.ask({ files: [{ data: new Uint8Array(3), mediaType: 'image/png', filename: 'a.png' }] })
  await session.step({ files: [{ data: new ArrayBuffer(3), mediaType: 'image/png' }] })
  const run = session.open({ input: { text: 'Hello' }, limits: { maxFiles: 3, maxFileSize: 1000 } })
  await run.steer({ text: 'and this', files: form.files ?? [] })
  agent.run({ input: { files: [] } })
  takes<Input>('text')
  // @ts-expect-error a path is no file
  session.send({ files: ['/a.png'] })
  // @ts-expect-error bytes say what they are
  session.send({ files: [{ data: new Uint8Array(3) }] })
  const [message] = session.view.getSnapshot().messages
  for (const part of message?.parts ?? []) if (part.type === 'file') same<typeof part.url, string>()
  same<ReturnType<typeof session.file>, Promise<Blob>>()
  run.on('input-delivered', ({ input, files }) => {
    same<typeof input, string>()
    files?.map(({ mediaType, url, filename, size }) => `${mediaType} ${url} ${filename} ${size}`)
  })
}

export async function copies() {
  const fork = await session.fork({ at: 'message-1' })
  same<typeof fork, typeof session>()
  const document = await agent.sessions.export(fork.id)
  same<typeof document, Blob>()
  const imported = await agent.sessions.import(document)
  takes<Session>(imported as unknown as Session)
  imported.send('Go on', { agent: 'assistant' })
  // @ts-expect-error no agent of this name
  fork.send('Go on', { agent: 'nobody' })
  // @ts-expect-error a document is a Blob
  await agent.sessions.import('{}')
}
