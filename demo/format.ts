// Numbers as the page shows them.

const whole = new Intl.NumberFormat('en-GB')
const short = new Intl.NumberFormat('en-GB', { notation: 'compact', maximumFractionDigits: 1 })

export const inFull = (count: number) => whole.format(count)
export const inShort = (count: number) => short.format(count)

/** Two digits of what is less than a cent; what is not known is never shown as nothing spent. */
export function asCost(cost: number | undefined): string {
  if (cost === undefined) return 'unknown'
  if (cost === 0 || cost >= 1) return `$${cost.toFixed(2)}`
  return `$${cost.toFixed(cost < 0.01 ? Math.min(1 - Math.floor(Math.log10(cost)), 10) : 4)}`
}

export const asShare = (part: number, total: number) => `${Math.round((100 * part) / total)} %`

export function asDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000))
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`
}

export function clock(at: number): string {
  const date = new Date(at)
  const time = date.toLocaleTimeString('en-GB')
  if (date.toDateString() === new Date().toDateString()) return time
  return `${time} on ${date.toLocaleDateString('en-GB', { day: 'numeric', month: 'long' })}`
}

export function asSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`
  return bytes < 1_000_000 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`
}
