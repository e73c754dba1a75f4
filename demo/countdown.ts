import { element } from './dom.ts'
import { asDuration } from './format.ts'

/** How long it takes until then (Unix time in milliseconds). For the eye alone: a screen reader would be told of every second. */
export function countdown(until: number, words: (left: string) => string): HTMLElement {
  const left = element('span', { ariaHidden: 'true' })
  const tell = () => {
    left.textContent = words(asDuration(until - Date.now()))
  }
  tell()
  const timer = setInterval(() => (left.isConnected ? tell() : clearInterval(timer)), 500)
  return left
}
