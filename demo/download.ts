import { element } from './dom.ts'

/** Has the browser save it. It is never opened: what it holds must not run in this page. */
export function download(blob: Blob, name: string): void {
  const href = URL.createObjectURL(blob)
  const link = element('a', { href, download: name })
  link.click()
  // the browser has taken it up by then
  setTimeout(() => URL.revokeObjectURL(href), 10_000)
}
