import { createView } from '../../src/view/view.ts'

const seen: number[] = []
const view = createView<number>({
  initial: 0,
  attach: (set) => {
    for (const value of [1, 2, 3]) queueMicrotask(() => set(value))
    return () => {}
  },
})
view.subscribe(() => {
  seen.push(view.getSnapshot())
  postMessage(seen)
})
