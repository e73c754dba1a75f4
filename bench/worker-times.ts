// When something happened in the worker, on the page's clock.

const channel = new BroadcastChannel('bench-times')

interface Time {
  readonly what: string
  readonly at: number
}

const now = () => performance.timeOrigin + performance.now()

export function tellTime(what: string) {
  channel.postMessage({ what, at: now() } satisfies Time)
}

/** On the page: the next time that the worker tells of `what`, in milliseconds of the page's `performance.now()`. */
export function timeOf(what: string): Promise<number> {
  return new Promise((resolve) => {
    const hear = ({ data }: MessageEvent<Time>) => {
      if (data.what !== what) return
      channel.removeEventListener('message', hear)
      resolve(data.at - performance.timeOrigin)
    }
    channel.addEventListener('message', hear)
  })
}
