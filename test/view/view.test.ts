import { describe, expect, test, vi } from 'vitest'
import { createView, type Update } from '../../src/view/view.ts'
import { Frames } from './fixtures.ts'

/** A view of a number, whose source the test is. */
function counter() {
  const frames = new Frames()
  const source = {
    attached: 0,
    detached: 0,
    set: (_: Update<number>) => {},
    fail: (_error: unknown, _next?: Update<number>) => {},
  }
  const view = createView<number>({
    initial: 0,
    frame: frames.schedule,
    attach: (set, fail) => {
      source.attached++
      Object.assign(source, { set, fail })
      return () => {
        source.detached++
      }
    },
  })
  return { frames, source, view }
}

describe('a snapshot', () => {
  test('is the initial one until somebody subscribes and the source answers', () => {
    const { frames, source, view } = counter()
    expect(view.getSnapshot()).toBe(0)
    expect(source.attached).toBe(0)
    view.subscribe(() => {})
    source.set(1)
    frames.next()
    expect(view.getSnapshot()).toBe(1)
  })

  test('changes only right before `changed` is called, once per frame', () => {
    const { frames, source, view } = counter()
    const seen: number[] = []
    view.subscribe(() => seen.push(view.getSnapshot()))
    for (let i = 1; i <= 1000; i++) source.set((now) => now + 1)
    expect(view.getSnapshot()).toBe(0)
    expect(frames.requested).toBe(1)
    frames.next()
    expect(seen).toEqual([1000])
    source.set(5)
    source.set((now) => now * 2)
    frames.next()
    expect(seen).toEqual([1000, 10])
  })

  test('is made once by a function that is given again while it waits', () => {
    const { frames, source, view } = counter()
    view.subscribe(() => {})
    const increment = vi.fn((now: number) => now + 1)
    for (let i = 0; i < 100; i++) source.set(increment)
    frames.next()
    expect(increment).toHaveBeenCalledOnce()
    source.set(increment)
    frames.next()
    expect(view.getSnapshot()).toBe(2)
  })

  test('that is the same calls nobody', () => {
    const { frames, source, view } = counter()
    const changed = vi.fn()
    view.subscribe(changed)
    source.set(0)
    source.set((now) => now)
    frames.next()
    expect(changed).not.toHaveBeenCalled()
  })

  test('is the last known one when nobody subscribes any more', () => {
    const { frames, source, view } = counter()
    const leave = view.subscribe(() => {})
    source.set(3)
    frames.next()
    source.set(4)
    leave()
    source.set(5)
    frames.next()
    expect(view.getSnapshot()).toBe(3)
  })
})

describe('subscribers', () => {
  test('attach the view with the first, and detach it with the last', () => {
    const { source, view } = counter()
    const first = view.subscribe(() => {})
    const second = view.subscribe(() => {})
    first()
    first()
    expect(source).toMatchObject({ attached: 1, detached: 0 })
    second()
    expect(source).toMatchObject({ attached: 1, detached: 1 })
    view.subscribe(() => {})
    expect(source.attached).toBe(2)
  })

  test('count twice when they subscribe twice', () => {
    const { frames, source, view } = counter()
    const changed = vi.fn()
    const first = view.subscribe(changed)
    view.subscribe(changed)
    source.set(1)
    frames.next()
    expect(changed).toHaveBeenCalledTimes(2)
    first()
    source.set(2)
    frames.next()
    expect(changed).toHaveBeenCalledTimes(3)
  })

  test('that throw are reported, and hurt nobody', () => {
    const reported = vi.spyOn(globalThis, 'reportError').mockImplementation(() => {})
    const { frames, source, view } = counter()
    const error = new Error('a bad subscriber')
    view.subscribe(() => {
      throw error
    })
    const changed = vi.fn()
    view.subscribe(changed)
    source.set(1)
    frames.next()
    expect(changed).toHaveBeenCalledOnce()
    expect(reported).toHaveBeenCalledExactlyOnceWith(error)
    reported.mockRestore()
  })

  test('may come and go while they are called', () => {
    const { frames, source, view } = counter()
    const late = vi.fn()
    const removed = vi.fn()
    const leaveFirst = view.subscribe(() => {
      view.subscribe(late)
      leaveFirst()
      leaveRemoved()
    })
    const leaveRemoved = view.subscribe(removed)
    source.set(1)
    frames.next()
    expect(removed).not.toHaveBeenCalled()
    expect(late).not.toHaveBeenCalled()
    source.set(2)
    frames.next()
    expect(late).toHaveBeenCalledOnce()
    expect(source).toMatchObject({ attached: 1, detached: 0 })
  })

  test('may cause the next change while they are called', () => {
    const { frames, source, view } = counter()
    const seen: number[] = []
    view.subscribe(() => {
      seen.push(view.getSnapshot())
      if (view.getSnapshot() < 3) source.set((now) => now + 1)
    })
    source.set(1)
    for (let i = 0; i < 5; i++) frames.next()
    expect(seen).toEqual([1, 2, 3])
  })
})

describe('ready', () => {
  test('attaches the view until the first snapshot is there', async () => {
    const { source, view } = counter()
    const { ready } = view
    expect(view.ready).toBe(ready)
    expect(source.attached).toBe(1)
    source.set(7)
    expect(await ready).toBe(7)
    expect(view.getSnapshot()).toBe(7)
    expect(source).toMatchObject({ attached: 1, detached: 1 })
  })

  test('attaches again when nobody watches, so that it is up to date', async () => {
    const { source, view } = counter()
    for (const value of [1, 2]) {
      const { ready } = view
      source.set(value)
      expect(await ready).toBe(value)
    }
    expect(source.attached).toBe(2)
  })

  test('waits for the frame of those who watch', async () => {
    const { frames, source, view } = counter()
    view.subscribe(() => {})
    source.set(1)
    const settled = vi.fn()
    const ready = view.ready.then(settled)
    expect(view.getSnapshot()).toBe(0)
    frames.next()
    await ready
    expect(settled).toHaveBeenCalledWith(1)
    expect(await view.ready).toBe(1)
  })

  test('resolves where the source answers at once', async () => {
    const view = createView({
      initial: 0,
      attach: (set) => {
        set(1)
        return () => {}
      },
    })
    expect(await view.ready).toBe(1)
    expect(await view.ready).toBe(1)
  })

  test('rejects when joining fails, and a snapshot can show it', async () => {
    const { source, view } = counter()
    const { ready } = view
    const error = new Error('no')
    source.fail(error, -1)
    await expect(ready).rejects.toBe(error)
    expect(view.getSnapshot()).toBe(-1)
    expect(source.detached).toBe(1)
    const again = view.ready
    source.set(1)
    expect(await again).toBe(1)
  })

  test('rejects at once while the view is attached and failed', async () => {
    const { frames, source, view } = counter()
    view.subscribe(() => {})
    source.fail(new Error('no'))
    frames.next()
    await expect(view.ready).rejects.toThrow('no')
    source.set(2)
    frames.next()
    expect(await view.ready).toBe(2)
  })

  test('rejects when the source throws', async () => {
    const view = createView({
      initial: 0,
      attach: () => {
        throw new Error('closed')
      },
    })
    await expect(view.ready).rejects.toThrow('closed')
    expect(() => view.subscribe(() => {})()).not.toThrow()
  })
})
