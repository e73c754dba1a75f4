// A React chat, as a user writes it.

import { memo, useMemo, useState } from 'react'
import type { AppOf, Message } from 'turnloop'
import { useView } from 'turnloop/react'
import type { Runtime } from './app.ts'
import { runtime } from './page-tools.ts'

type M = Message<AppOf<Runtime>>
const session = runtime.session('trip')
const sessions = runtime.sessions.view({ limit: 50 })

const Bubble = memo(({ message }: { message: M }) => (
  <article>
    {message.parts.map((part, index) => {
      // A part keeps its place for as long as the message lives.
      const key = `${message.id} ${index}`
      switch (part.type) {
        case 'text':
          return <p key={key}>{part.text}</p>
        case 'tool-forecast':
          return (
            <div key={key}>
              {part.input?.city} {part.state === 'output-available' && part.output.celsius}
            </div>
          )
        case 'tool-pickDate':
          return (
            part.state === 'input-available' && (
              <input
                key={key}
                type="date"
                min={part.input.from}
                onChange={(event) =>
                  session.addToolOutput({
                    tool: 'pickDate',
                    toolCallId: part.toolCallId,
                    output: { date: event.target.value },
                  })
                }
              />
            )
          )
        case 'dynamic-tool':
          return <div key={key}>{part.toolName}</div>
        default:
          return null
      }
    })}
  </article>
))

export function Chat() {
  const { messages, status, run, error } = useView(session.view)
  const [text, setText] = useState('')
  return (
    <>
      {messages.map((message) => (
        <Bubble key={message.id} message={message} />
      ))}
      {run?.phase === 'waiting' && <p role="status">Waiting for {run.waitingFor}</p>}
      {error && <p role="alert">{error.message}</p>}
      <form
        onSubmit={(event) => {
          event.preventDefault()
          session.send(text)
          setText('')
        }}
      >
        <textarea value={text} onChange={(event) => setText(event.target.value)} />
        {status === 'ready' || status === 'error' ? (
          <button type="submit">Send</button>
        ) : (
          <button type="button" onClick={() => session.stop()}>
            Stop
          </button>
        )}
      </form>
    </>
  )
}

export const Usage = () => <small>{useView(session.view, ({ usage }) => usage.outputTokens).toFixed()}</small>

export function Sidebar({ open }: { open(id: string): void }) {
  return (
    <nav aria-label="Sessions">
      {useView(sessions).map(({ id, title, status }) => (
        <li key={id}>
          <button type="button" onClick={() => open(id)}>
            {title} {status !== 'ready' && '•'}
          </button>
          <button type="button" onClick={() => runtime.session(id).rename('New')}>
            Rename
          </button>
          <button type="button" aria-label={`Delete session ${title}`} onClick={() => runtime.session(id).delete()}>
            x
          </button>
        </li>
      ))}
    </nav>
  )
}

export function Header({ choose }: { choose(model: 'fast' | 'smart'): void }) {
  const { models, agents, worker } = useView(runtime.info)
  return (
    <select
      aria-label={`${worker} ${agents[0]?.name}`}
      onChange={({ target }) => choose(models[target.selectedIndex]?.name ?? 'fast')}
    >
      {models.map(({ name }) => (
        <option key={name}>{name}</option>
      ))}
    </select>
  )
}

export function Tree({ runId }: { runId: string }) {
  const tree = useView(useMemo(() => runtime.runs.tree(runId), [runId]))
  return (
    <ul>
      {tree?.children.map(({ runId, agent, status, usage }) => (
        <li key={runId}>
          {agent} {status} {usage.outputTokens}
          <button type="button" onClick={() => runtime.runs.get(runId).stop()}>
            Stop
          </button>
        </li>
      ))}
    </ul>
  )
}
