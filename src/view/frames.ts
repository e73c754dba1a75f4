/** Calls `flush` once, later. */
export type Scheduler = (flush: () => void) => void

/**
 * At the next animation frame. A hidden page has none: there it is after 50 ms, also where the page is hidden while it
 * waits. Where there is no page, 16 ms.
 */
export const nextFrame: Scheduler = (flush) => {
  const page: Document | undefined = globalThis.document
  const now = () => {
    clearInterval(timer)
    if (frame !== undefined) cancelAnimationFrame(frame)
    flush()
  }
  // Simulated pages may have no frames; they are hidden.
  const frame = page && globalThis.requestAnimationFrame?.(now)
  const timer = setInterval(() => (page && !page.hidden) || now(), page ? 50 : 16)
}
