// Events, contexts and handles are typed from the agents.
import type { AgentError, Call, Message, StopReason, ToolPart, Usage } from 'turnloop'
import type { AppOf } from 'turnloop/runtime'
import { type Runtime, runtime } from './app.ts'
import { same } from './same.ts'

type App = AppOf<Runtime>

runtime.on('text-delta', ({ delta, kind, agent, turn }, context, control) => {
  same<typeof delta, string>()
  same<typeof kind, 'text-delta'>()
  same<typeof agent, 'assistant' | 'researcher'>()
  same<typeof turn, number>()
  same<typeof context.metadata, unknown>()
  control.concurrency = 1
  control.timeout = undefined
  control.cancel()
  // @ts-expect-error not its to set
  control.cancelled = true
})

runtime.on(['tool-execution-finished', 'text-delta'], (event) => {
  same<typeof event.kind, 'tool-execution-finished' | 'text-delta'>()
  if (event.kind === 'text-delta' || event.dynamic) return
  if (event.toolName === 'forecast') {
    same<typeof event.input, { city: string }>()
    if (event.outcome === 'success') same<typeof event.output, { celsius: number }>()
    else same<typeof event.errorText, string>()
  }
  if (event.toolName === 'count' && event.outcome === 'success') same<typeof event.output, { n: number }>()
  if (event.toolName === 'lookup') same<typeof event.input, { about: string }>()
  if (event.toolName === 'pickDate' && event.outcome === 'success') same<typeof event.output, { date: string }>()
  // @ts-expect-error no such tool
  if (event.toolName === 'forcast') return
  // @ts-expect-error there is no output before the outcome is known
  event.output
})

runtime.on('tool-execution-finished', (event) => {
  if (!event.dynamic) return
  same<typeof event.toolName, string>()
  same<typeof event.input, unknown>()
})

runtime.on('tool-call-completed', (event) => {
  if (!event.dynamic && event.toolName === 'highlight') same<typeof event.input, { selector: string }>()
})

const session = runtime.session('trip', { agent: 'assistant', model: 'smart' })
session.on('any', (event) => {
  if (event.kind === 'run-failed') same<typeof event.error, AgentError>()
  if (event.kind === 'usage-recorded') same<typeof event.session, Usage>()
  if (event.kind === 'assistant-message-committed') same<typeof event.message, Message<App>>()
  if (event.kind === 'tool-execution-started') same<typeof event.toolCallId, Call<App>['toolCallId']>()
  // @ts-expect-error the provider's own stream is not part of `any`
  if (event.kind === 'chat-text-delta') return
})
session.on('any', () => {}, { since: 0, signal: new AbortController().signal, timeout: 100, concurrency: 2 })

const run = session.send('Hi', { limits: { maxTurns: 3 }, metadata: { user: 'me' }, settings: { temperature: 1 } })
run.on('run-completed', ({ finishReason }) => same<typeof finishReason, string>())
run.on('any', async () => {}, { concurrency: 1 }).abort()
void run.result.then(({ status, text, usage, reason }) => {
  same<typeof status, 'completed' | 'stopped'>()
  same<typeof text, string>()
  same<typeof usage, Usage>()
  same<typeof reason, StopReason | undefined>()
})
same<ReturnType<typeof run.detach>, typeof run>()
runtime.run((_context, { signal }) => ({ input: 'Hi', agent: 'researcher', signal }), { session: 'trip' }).detach()
runtime.run(async () => ({ input: 'Hi' }))

type Part = Message<App>['parts'][number]
const render = (part: Part) => {
  if (part.type === 'tool-forecast') {
    if (part.state === 'output-available') same<typeof part.output, { celsius: number }>()
    if (part.state === 'input-available') same<typeof part.input, { city: string }>()
    if (part.state === 'output-error') same<typeof part.errorText, string>()
  }
  if (part.type === 'dynamic-tool') same<typeof part.toolName, string>()
  // @ts-expect-error no such tool
  if (part.type === 'tool-forcast') return
}
same<Parameters<typeof render>[0] & { type: 'tool-pickDate' }, ToolPart<App> & { type: 'tool-pickDate' }>()

// @ts-expect-error unknown kind
runtime.on('text-dleta', () => {})
// @ts-expect-error one unknown kind among others
runtime.on(['text-delta', 'text-dleta'], () => {})
// @ts-expect-error unknown agent
runtime.session('x', { agent: 'nobody' })
// @ts-expect-error unknown model
runtime.session('x', { model: 'slow' })
// @ts-expect-error unknown agent
session.send('Hi', { agent: 'nobody' })
// @ts-expect-error unknown model
runtime.run({ input: 'Hi', model: 'slow' })
// @ts-expect-error a request needs an input
runtime.run({ agent: 'assistant' })
// @ts-expect-error a run has no replay of its own
run.on('any', () => {}, { since: 0 })
// @ts-expect-error nor have all sessions together
runtime.on('any', () => {}, { since: 0 })
// @ts-expect-error a handle is no promise
void run.then
// @ts-expect-error what a run gave can't be changed
run.finished = true
