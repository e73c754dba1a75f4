// Lets other tasks run: the port's messages, an abort. `setTimeout` would be clamped to 4 ms.

const waiting: (() => void)[] = []
let channel: MessageChannel | undefined

/** Resolves in a macrotask of its own. */
export const macrotask = () => new Promise<void>(inMacrotask)

/** Calls `task` in a macrotask of its own. */
export function inMacrotask(task: () => void): void {
  if (!channel) {
    channel = new MessageChannel()
    channel.port1.onmessage = () => waiting.shift()?.()
    // In Node an open port keeps the process alive.
    ;(channel.port1 as { unref?: () => void }).unref?.()
  }
  waiting.push(task)
  channel.port2.postMessage(null)
}
