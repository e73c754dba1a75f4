import { act, memo, StrictMode, startTransition, useState } from 'react'
import { createRoot, hydrateRoot, type Root } from 'react-dom/client'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Message, SessionView } from '../../src/api/public-types.ts'
import type { AnyEvent } from '../../src/events/kinds.ts'
import { useView } from '../../src/react/index.ts'
import { createSessionView, type ViewJoined } from '../../src/view/session-view.ts'
import { Frames, modelStarted, running, text, userMessage } from '../view/fixtures.ts'

let root: Root
let element: HTMLElement

beforeEach(() => {
  Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true })
  element = document.body.appendChild(document.createElement('main'))
  root = createRoot(element)
})

afterEach(() => {
  act(() => root.unmount())
  element.remove()
})

function session() {
  const frames = new Frames()
  const source = { joined: 0, left: 0, receive: (_: ViewJoined | AnyEvent) => {} }
  const view = createSessionView(
    's',
    {
      join: (_, receive) => {
        source.joined++
        source.receive = receive
        return () => {
          source.left++
        }
      },
      messages: async () => ({ messages: [], hasOlder: false }),
    },
    { frame: frames.schedule },
  )
  const tell = (...items: (ViewJoined | AnyEvent)[]) =>
    act(() => {
      for (const item of items) source.receive(item)
      frames.next()
    })
  return { source, tell, view }
}

const snapshot = () => running({ messages: [userMessage('u1', 'Hello'), userMessage('u2', 'Anybody?')] })
const joined = (): ViewJoined => ({ kind: '@joined', snapshot: snapshot(), events: [modelStarted('m1')] })

function chat(view: SessionView) {
  const renders: string[] = []
  const Bubble = memo(({ message }: { message: Message }) => {
    renders.push(message.id)
    return <article>{message.parts.map((part) => ('text' in part ? part.text : '')).join('')}</article>
  })
  const Chat = () => {
    const { messages, status } = useView(view)
    return (
      <section aria-busy={status === 'streaming'}>
        {messages.map((message) => (
          <Bubble key={message.id} message={message} />
        ))}
      </section>
    )
  }
  return { Chat, renders }
}

const words = () => [...element.querySelectorAll('article')].map(({ textContent }) => textContent)

test('a chat shows a message as it streams', () => {
  const { tell, view } = session()
  const { Chat } = chat(view)
  act(() => root.render(<Chat />))
  expect(words()).toEqual([])
  tell(joined(), text('Hi', 0))
  expect(words()).toEqual(['Hello', 'Anybody?', 'Hi'])
  expect(element.querySelector('section')?.ariaBusy).toBe('true')
  tell(text(' there', 2), text('!', 8))
  expect(words()).toEqual(['Hello', 'Anybody?', 'Hi there!'])
})

test('messages that did not change are not rendered again', () => {
  const { tell, view } = session()
  const { Chat, renders } = chat(view)
  act(() => root.render(<Chat />))
  tell(joined())
  renders.length = 0
  for (let i = 0; i < 20; i++) tell(text('x', i))
  expect(renders).toEqual(new Array(20).fill('m1'))
})

test('a chat works in strict mode, and leaves the view when it goes', () => {
  const { source, tell, view } = session()
  const { Chat } = chat(view)
  act(() =>
    root.render(
      <StrictMode>
        <Chat />
      </StrictMode>,
    ),
  )
  tell(joined(), text('Hi', 0))
  expect(words()).toEqual(['Hello', 'Anybody?', 'Hi'])
  expect(source.joined - source.left).toBe(1)
  act(() => root.render(null))
  expect(source.joined - source.left).toBe(0)
})

test('what is selected decides about rendering', () => {
  const { tell, view } = session()
  const rendered = vi.fn()
  const Count = () => {
    const count = useView(view, ({ messages }) => messages.length)
    rendered(count)
    return <output>{count}</output>
  }
  act(() => root.render(<Count />))
  tell(joined())
  tell(text('a', 0))
  tell(text('b', 1))
  expect(rendered.mock.calls.flat()).toEqual([0, 3])
})

test('a selector that builds an object renders once per snapshot, and does not loop', () => {
  const { tell, view } = session()
  const rendered = vi.fn()
  const errors = vi.spyOn(console, 'error')
  const State = () => {
    const { status, count } = useView(view, (now) => ({ status: now.status, count: now.messages.length }))
    rendered()
    return <output>{`${status} ${count}`}</output>
  }
  act(() => root.render(<State />))
  tell(joined())
  tell(text('a', 0))
  expect(element.textContent).toBe('streaming 3')
  expect(rendered).toHaveBeenCalledTimes(3)
  expect(errors).not.toHaveBeenCalled()
})

test('another selector, and another view, are taken at once', () => {
  const one = session()
  const other = session()
  const Show = ({ view, field }: { view: SessionView; field: 'id' | 'status' }) => (
    <output>{useView(view, (now) => now[field])}</output>
  )
  act(() => root.render(<Show view={one.view} field="id" />))
  one.tell(joined())
  expect(element.textContent).toBe('s')
  act(() => root.render(<Show view={one.view} field="status" />))
  expect(element.textContent).toBe('submitted')
  act(() => root.render(<Show view={other.view} field="status" />))
  expect(element.textContent).toBe('ready')
  expect(one.source.left).toBe(1)
})

test('components never show different snapshots, not in a transition either', () => {
  const { tell, view } = session()
  const seen = new Set<string>()
  const Words = () => <i>{JSON.stringify(useView(view).messages.at(-1)?.parts ?? [])}</i>
  let change = (_: number) => {}
  const Page = () => {
    const [rounds, setRounds] = useState(0)
    change = setRounds
    return (
      <div data-rounds={rounds}>
        <Words />
        <Words />
      </div>
    )
  }
  act(() => root.render(<Page />))
  const look = () => {
    const [first, second] = [...element.querySelectorAll('i')].map(({ textContent }) => textContent)
    expect(first).toBe(second)
    seen.add(first ?? '')
  }
  view.subscribe(look)
  tell(joined())
  for (let i = 0; i < 10; i++) {
    act(() => startTransition(() => change(i)))
    tell(text('x', i))
    look()
  }
  expect(seen.size).toBeGreaterThan(10)
})

test('what a server rendered, the initial snapshot, is taken over', () => {
  const { tell, view } = session()
  const { Chat } = chat(view)
  const onRecoverableError = vi.fn()
  const page = document.body.appendChild(document.createElement('main'))
  page.innerHTML = '<section aria-busy="false"></section>'
  const section = page.firstChild
  let hydrated: Root | undefined
  act(() => {
    hydrated = hydrateRoot(page, <Chat />, { onRecoverableError })
  })
  tell(joined(), text('Hi', 0))
  expect(page.firstChild).toBe(section)
  expect(page.textContent).toBe('HelloAnybody?Hi')
  expect(onRecoverableError).not.toHaveBeenCalled()
  act(() => hydrated?.unmount())
  page.remove()
})
