/** One measured figure, as it is printed. */
export interface Row {
  readonly name: string
  /** The median of the rounds. */
  readonly value: number
  readonly unit: string
  /** The lowest and the highest round. */
  readonly range?: readonly [number, number]
  /** What the same was measured against, in the same rounds. */
  readonly peer?: string
  readonly peerValue?: number
  /** `value` over `peerValue`. */
  readonly ratio?: number
  /** What `value` is to reach: at least or at most, as `met` says. */
  readonly budget?: number
  readonly met?: boolean
  /** How it was measured, where the name does not say it. */
  readonly note?: string
}

export interface Measured {
  readonly name: string
  readonly unit: string
  readonly samples: readonly number[]
  readonly peer?: { readonly name: string; readonly samples: readonly number[] }
  readonly atLeast?: number
  readonly atMost?: number
  readonly note?: string
}

export function rowOf({ name, unit, samples, peer, atLeast, atMost, note }: Measured): Row {
  const value = rounded(median(samples))
  const peerValue = peer && rounded(median(peer.samples))
  const budget = atLeast ?? atMost
  return {
    name,
    value,
    unit,
    ...(samples.length > 1 && { range: [rounded(Math.min(...samples)), rounded(Math.max(...samples))] as const }),
    ...(peer && peerValue !== undefined && { peer: peer.name, peerValue, ratio: rounded(value / peerValue) }),
    ...(budget !== undefined && { budget, met: atLeast === undefined ? value <= budget : value >= budget }),
    ...(note !== undefined && { note }),
  }
}

/** Four digits: there is no more in any of these figures. */
const rounded = (value: number) => Number(value.toPrecision(4))

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const high = sorted[middle]
  if (high === undefined) throw new Error('There is nothing to take a median of.')
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? high) + high) / 2
}
