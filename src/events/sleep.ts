/** Resolves after so many milliseconds, any number of them; rejects with the signal's reason. */
export type Sleep = (milliseconds: number, signal: AbortSignal) => Promise<void>

/** The longest delay that timers know; more would fire at once. */
export const longestDelay = 2 ** 31 - 1

export const sleep: Sleep = (milliseconds, signal) =>
  new Promise((resolve, reject) => {
    let left = milliseconds
    let timer: ReturnType<typeof setTimeout> | undefined
    const abort = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const wait = () => {
      const next = Math.min(left, longestDelay)
      left -= next
      timer = setTimeout(left > 0 ? wait : end, next)
    }
    const end = () => {
      signal.removeEventListener('abort', abort)
      resolve()
    }
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    wait()
  })
