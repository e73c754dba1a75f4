// biome-ignore-all lint/suspicious/noArrayIndexKey: the parts of a message keep their places
// #region chat
import { memo, useState } from 'react'
import type { AppOf, Message, Session } from 'turnloop'
import { useView } from 'turnloop/react'
import type { runtime } from './agent.worker.ts'

type App = AppOf<typeof runtime>

const Bubble = memo(({ message }: { message: Message<App> }) => (
  <article>
    {message.parts.map((part, index) => {
      if (part.type === 'text') return <p key={index}>{part.text}</p>
      if (part.type !== 'tool-forecast') return null
      const { input, output } = part
      return <p key={index}>{output ? `${input?.city}: ${output.celsius} °C` : 'Looking at the sky …'}</p>
    })}
  </article>
))

export function Chat({ session }: { session: Session<App> }) {
  const { messages, status, run, error } = useView(session.view)
  const [text, setText] = useState('')
  const busy = status === 'submitted' || status === 'streaming'
  return (
    <>
      <div role="log" aria-busy={status === 'streaming'}>
        {messages.map((message) => (
          <Bubble key={message.id} message={message} />
        ))}
      </div>
      {run?.phase === 'interrupted' && <p role="status">This answer was interrupted.</p>}
      {error && <p role="alert">{error.message}</p>}
      <form
        onSubmit={(event) => {
          event.preventDefault()
          session.send(text)
          setText('')
        }}
      >
        <input aria-label="Message" value={text} onChange={(event) => setText(event.target.value)} />
        <button type="submit">Send</button>
        {busy && (
          <button type="button" onClick={() => session.stop()}>
            Stop
          </button>
        )}
      </form>
    </>
  )
}
// #endregion
