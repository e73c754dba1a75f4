import { expect, test, vi } from 'vitest'
import type { SessionInfo } from '../../src/api/public-types.ts'
import { type EventKind, eventKinds } from '../../src/events/kinds.ts'
import { createListView } from '../../src/view/list-view.ts'
import { waitFor } from '../wait-for.ts'
import { Frames, row } from './fixtures.ts'

interface Request {
  readonly limit: number
  readonly resolve: (rows: readonly SessionInfo[]) => void
  readonly reject: (error: Error) => void
}

function sessions() {
  const frames = new Frames()
  const requests: Request[] = []
  const source = { kinds: [] as readonly EventKind[], changed: () => {}, state: (_lost: boolean) => {}, left: 0 }
  const view = createListView(
    {
      list: ({ limit }) => new Promise((resolve, reject) => requests.push({ limit, resolve, reject })),
      listen: (kinds, changed) => {
        Object.assign(source, { kinds, changed })
        return () => {
          source.left++
        }
      },
      onState: (changed) => {
        source.state = changed
        return () => {
          source.state = () => {}
        }
      },
    },
    { limit: 20, frame: frames.schedule },
  )
  /** Answers the last request, and shows it. */
  const answer = async (rows: readonly SessionInfo[]) => {
    requests.at(-1)?.resolve(rows)
    await waitFor(() => expect(frames.requested).toBe(1))
    frames.next()
    return view.getSnapshot()
  }
  return { answer, frames, requests, source, view }
}

test('the list is loaded when somebody watches', async () => {
  const { answer, requests, source, view } = sessions()
  expect(view.getSnapshot()).toEqual([])
  expect(requests).toHaveLength(0)
  const leave = view.subscribe(() => {})
  expect(requests.map(({ limit }) => limit)).toEqual([20])
  expect(await answer([row('a'), row('b')])).toEqual([row('a'), row('b')])
  leave()
  expect(source.left).toBe(1)
})

test('the list is loaded again after what changes it', async () => {
  const { answer, requests, source, view } = sessions()
  view.subscribe(() => {})
  await answer([row('a')])
  for (const kind of ['session-created', 'session-updated', 'session-deleted', 'run-started', 'run-waiting'] as const)
    expect(source.kinds).toContain(kind)
  for (const kind of ['run-completed', 'run-stopped', 'run-failed', 'run-cancelled'] as const)
    expect(source.kinds).toContain(kind)
  expect(source.kinds.filter((kind) => !eventKinds.has(kind) || kind.endsWith('-delta'))).toEqual([])
  source.changed()
  expect(requests).toHaveLength(2)
  expect(await answer([row('b'), row('a')])).toEqual([row('b'), row('a')])
})

test('there is one request at a time, and one more after all that happened meanwhile', async () => {
  const { answer, requests, source, view } = sessions()
  view.subscribe(() => {})
  for (let i = 0; i < 100; i++) source.changed()
  expect(requests).toHaveLength(1)
  requests[0]?.resolve([row('a')])
  await waitFor(() => expect(requests).toHaveLength(2))
  expect(await answer([row('b')])).toEqual([row('b')])
  expect(requests).toHaveLength(2)
})

test('rows that are the same keep their identity, and so does the list', async () => {
  const { answer, source, view } = sessions()
  const changed = vi.fn()
  view.subscribe(changed)
  const before = await answer([row('a'), row('b')])
  source.changed()
  const moved = await answer([row('b', { status: 'running' }), row('a')])
  expect(moved[0]).not.toBe(before[1])
  expect(moved[1]).toBe(before[0])
  source.changed()
  expect(await answer([row('b', { status: 'running' }), row('a')])).toBe(moved)
  expect(changed).toHaveBeenCalledTimes(2)
})

test('a list that can not be loaded rejects `ready`, and is loaded with the next change', async () => {
  const { answer, frames, requests, source, view } = sessions()
  view.subscribe(() => {})
  const { ready } = view
  requests[0]?.reject(new Error('no store'))
  await waitFor(() => expect(frames.requested).toBe(1))
  frames.next()
  await expect(ready).rejects.toThrow('no store')
  source.changed()
  expect(await answer([row('a')])).toEqual([row('a')])
  expect(await view.ready).toEqual([row('a')])
})

test('a list that nobody watches any more is not loaded again', async () => {
  const { requests, source, view } = sessions()
  const leave = view.subscribe(() => {})
  source.changed()
  leave()
  requests[0]?.resolve([row('a')])
  await new Promise((resolve) => setTimeout(resolve))
  expect(requests).toHaveLength(1)
  expect(view.getSnapshot()).toEqual([])
})

test('a lost runtime interrupts what it ran, and the next one is asked anew', async () => {
  const { answer, frames, requests, source, view } = sessions()
  view.subscribe(() => {})
  await answer([{ ...row('a'), status: 'running' }, row('b')])
  source.state(true)
  frames.next()
  expect(view.getSnapshot().map(({ status }) => status)).toEqual(['interrupted', 'ready'])
  expect(requests).toHaveLength(1)
  source.state(false)
  expect(requests).toHaveLength(2)
})
