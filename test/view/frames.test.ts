import { afterEach, expect, test, vi } from 'vitest'
import { nextFrame } from '../../src/view/frames.ts'

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

function fakePage({ hidden }: { hidden: boolean }) {
  const frames: (() => void)[] = []
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  vi.spyOn(globalThis, 'requestAnimationFrame').mockImplementation((callback) => frames.push(() => callback(0)))
  vi.spyOn(globalThis, 'cancelAnimationFrame').mockImplementation((id) => {
    frames[id - 1] = () => {}
  })
  const state = vi.spyOn(document, 'hidden', 'get').mockReturnValue(hidden)
  const frame = () => {
    for (const callback of frames.splice(0)) callback()
  }
  return { frame, hide: () => state.mockReturnValue(true) }
}

test('a flush comes with an animation frame', async () => {
  await new Promise<void>((resolve) => nextFrame(resolve))
})

test('a flush comes once, with the frame, however long that takes', () => {
  const page = fakePage({ hidden: false })
  const flush = vi.fn()
  nextFrame(flush)
  vi.advanceTimersByTime(1000)
  expect(flush).not.toHaveBeenCalled()
  page.frame()
  vi.advanceTimersByTime(1000)
  expect(flush).toHaveBeenCalledOnce()
})

test('a flush comes after 50 ms in a hidden page, which has no frames', () => {
  const page = fakePage({ hidden: true })
  const flush = vi.fn()
  nextFrame(flush)
  vi.advanceTimersByTime(49)
  expect(flush).not.toHaveBeenCalled()
  vi.advanceTimersByTime(1)
  expect(flush).toHaveBeenCalledOnce()
  page.frame()
  vi.advanceTimersByTime(1000)
  expect(flush).toHaveBeenCalledOnce()
})

test('a flush comes where the page is hidden while it waits', () => {
  const page = fakePage({ hidden: false })
  const flush = vi.fn()
  nextFrame(flush)
  vi.advanceTimersByTime(10)
  page.hide()
  vi.advanceTimersByTime(50)
  expect(flush).toHaveBeenCalledOnce()
})

test('a view lives in a worker too, where changes come together', async () => {
  const worker = new Worker(new URL('./view.worker.ts', import.meta.url), { type: 'module' })
  const seen = await new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data)
    worker.onerror = (event) => reject(new Error(event.message))
  })
  worker.terminate()
  expect(seen).toEqual([3])
})
