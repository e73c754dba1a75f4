import { AgentError, fromWire } from '../errors.ts'
import type { Interest, Methods } from '../protocol/messages.ts'
import { createSessionView, type Questions } from '../view/session-view.ts'
import type { RuntimeCore } from './agent-runtime.ts'
import type { App } from './app.ts'
import { createGrantDesk } from './grant-desk.ts'
import type { Message } from './message.ts'
import { portInput } from './port-input.ts'
import type {
  GrantDesk,
  Listen,
  RunOutput,
  SendOptions,
  Session,
  SessionListenOptions,
  SessionView,
  StepResult,
} from './types.ts'

type Defaults<A extends App> = Pick<SendOptions<A>, 'agent' | 'model'>

/** A stop is no answer, but a run that can go on. */
const stoppedError = ({ reason, runId }: RunOutput) =>
  new AgentError(
    'stopped',
    `The run "${runId}" stopped before its answer was whole (${reason}): resume it, or ask anew.`,
  )

/** A session as its user holds it. Nothing happens before it is used. */
export function createSession<A extends App>(
  core: RuntimeCore<A>,
  id: string,
  { model: defaultModel, ...defaults }: Defaults<A>,
): Session<A> {
  const { channel } = core
  let view: SessionView<A> | undefined
  let grants: GrantDesk | undefined
  return {
    id,
    get view() {
      view ??= createSessionView(
        id,
        {
          join: (interest: Interest, receive) => channel.listen(interest, receive),
          messages: (params) => channel.call('messages', params),
        },
        { questions: core.questions as unknown as Questions },
      ) as unknown as SessionView<A>
      return view
    },
    get grants() {
      grants ??= createGrantDesk(channel, id)
      return grants
    },
    on: core.listenTo({ sessionId: id }) as Listen<A, SessionListenOptions>,
    send: (input, options) => core.start({ ...defaults, defaultModel, ...options, input }, id),
    regenerate: (messageId, options) =>
      core.start({ ...defaults, defaultModel, ...options, input: '' }, id, messageId ?? true),
    history: async () => {
      const messages: Message<A>[] = []
      for (let from: number | undefined = 0; from !== undefined; ) {
        const page: Methods['history']['result'] = await channel.call('history', { sessionId: id, from })
        messages.push(...(page.messages as Message<A>[]))
        from = page.next
      }
      return messages
    },
    ask: async (input, options) => {
      const output = await core.start({ ...defaults, defaultModel, ...options, input }, id).result
      if (output.status === 'stopped') throw stoppedError(output)
      return output.text
    },
    open: ({ idleTimeout, input = '', ...options } = {}) =>
      core.start(
        { ...defaults, defaultModel, ...options, input, open: idleTimeout === undefined ? {} : { idleTimeout } },
        id,
      ),
    step: async (input, { tools = 'inline', signal, ...options } = {}) => {
      signal?.throwIfAborted()
      const runId = core.newId()
      const abort = () => {
        const run = input === undefined ? undefined : { runId }
        channel.call('abort', { sessionId: id, ...run, cause: 'aborted' }).catch(() => {})
      }
      signal?.addEventListener('abort', abort, { once: true })
      const first = input === undefined ? undefined : { ...defaults, defaultModel, ...options, ...portInput(input) }
      try {
        const stepped = { sessionId: id, runId, stepId: core.newId(), tools, ...(first as object) }
        const { error, ...summary } = await channel.call('step', stepped)
        return { ...(summary as StepResult<A>), ...(error ? { error: fromWire(error) } : undefined) }
      } finally {
        signal?.removeEventListener('abort', abort)
      }
    },
    withdraw: (inputId) => channel.call('withdraw', { sessionId: id, inputId }),
    stop: async ({ after = 'now' } = {}) => {
      await channel.call('stop', { sessionId: id, after })
    },
    abort: () => {
      channel.call('abort', { sessionId: id, cause: 'aborted' }).catch(() => {})
    },
    addToolOutput: async (output) => {
      await channel.call('toolOutput', { sessionId: id, ...output })
    },
    takeOver: async () => {
      await channel.call('takeOver', { sessionId: id })
    },
    setModel: async (model) => {
      await channel.call('setModel', { sessionId: id, model })
    },
    rename: async (title) => {
      await channel.call('rename', { sessionId: id, title })
    },
    fork: async ({ at } = {}) => {
      const forkId = core.newId()
      await channel.call('fork', { sessionId: id, forkId, ...(at === undefined ? undefined : { at }) })
      return createSession<A>(core, forkId, {
        ...defaults,
        ...(defaultModel === undefined ? undefined : { model: defaultModel }),
      })
    },
    file: (url) => channel.call('file', { sessionId: id, url }),
    delete: async () => {
      await channel.call('remove', { sessionId: id })
    },
  }
}
