import type { Interest } from '../protocol/messages.ts'
import { createSessionView } from '../view/session-view.ts'
import type { RuntimeCore } from './agent-runtime.ts'
import type { App } from './app.ts'
import type { Listen, SendOptions, Session, SessionListenOptions, SessionView } from './types.ts'

type Defaults<A extends App> = Pick<SendOptions<A>, 'agent' | 'model'>

/** A session as its user holds it. Nothing happens before it is used. */
export function createSession<A extends App>(core: RuntimeCore<A>, id: string, defaults: Defaults<A>): Session<A> {
  const { channel } = core
  let view: SessionView<A> | undefined
  return {
    id,
    get view() {
      view ??= createSessionView(id, {
        join: (interest: Interest, receive) => channel.listen(interest, receive),
        messages: (params) => channel.call('messages', params),
      }) as unknown as SessionView<A>
      return view
    },
    on: core.listenTo({ sessionId: id }) as Listen<A, SessionListenOptions>,
    send: (input, options) => core.start({ ...defaults, ...options, input }, id),
    stop: async ({ after = 'now' } = {}) => {
      await channel.call('stop', { sessionId: id, after })
    },
    abort: () => {
      channel.call('abort', { sessionId: id, cause: 'aborted' }).catch(() => {})
    },
    addToolOutput: async (output) => {
      await channel.call('toolOutput', { sessionId: id, ...output })
    },
    rename: async (title) => {
      await channel.call('rename', { sessionId: id, title })
    },
    delete: async () => {
      await channel.call('remove', { sessionId: id })
    },
  }
}
