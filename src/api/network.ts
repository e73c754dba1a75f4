/** Tells whenever the browser goes offline, or comes back. Workers hear nothing of that in some browsers, and Node in none. */
export function watchNetwork(tell: (online: boolean) => void, signal: AbortSignal): void {
  for (const word of ['online', 'offline'])
    globalThis.addEventListener?.(word, () => tell(word === 'online'), { signal })
}

/** The browser's word on it. It has none in Node. */
export const isOnline = () => typeof navigator !== 'object' || navigator.onLine !== false
