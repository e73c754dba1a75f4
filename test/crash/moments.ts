/** When somebody dies. */
export type Moment =
  | { readonly point: string; readonly nth: number }
  /** When a page was told so many events of a kind. */
  | { readonly heard: string; readonly nth: number }
  /** So many facts after the last death or the send. */
  | { readonly facts: number }
  /** So many milliseconds after it. */
  | { readonly delay: number }

/** The kind of events that the person leaves alone until the moment has come. */
export function ignoredUntil(moment: Moment): string | undefined {
  if ('heard' in moment) return moment.heard
  return 'point' in moment && moment.point.endsWith(':parked') ? 'approval-requested' : undefined
}

/** A moment's name in the count of deaths. */
export const nameOf = (moment: Moment): string => {
  if ('point' in moment) return moment.point
  if ('heard' in moment) return `told ${moment.heard}`
  return 'at random'
}
