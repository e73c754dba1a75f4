/** How an input comes to its run: as a message, with an id of its own that is sent again after each death, in
 * place of the one before, to an open run, or step by step. `regenerate`: the one before is answered anew. */
export type Way = 'send' | 'named' | 'edit' | 'open' | 'step' | 'regenerate'

/**
 * What the model's endpoint refuses with a 500: each turn once, or every call of the agent's first model. `network`: the page
 * is offline, and the first call of a run finds no connection.
 */
export type Failing = 'once' | 'first-model' | 'network'

/** What the person says to a run that is under way. */
export type Word = 'stop' | 'stop-after-turn' | 'abort' | 'steer' | 'queue'

/**
 * What the person says about a call that needs somebody's yes. `edited`: yes, with another input. `revoked`: yes at first, and
 * no where that came to nothing.
 */
export type Verdict = 'once' | 'always' | 'edited' | 'denied' | 'revoked'

/** When it is said: the model was asked for this turn of the plan and is not answered before, or so many events were told. */
export type Occasion = { readonly turn: number } | { readonly heard: string; readonly nth: number }

export interface PlannedWord {
  readonly word: Word
  readonly at: Occasion
}

/** A word that was said, as the world knows it. */
export interface SaidWord {
  readonly word: Word
  /** Of a steering, in the order of the session. */
  readonly number: number
  /** When the page was told that it is stored, or at least has taken it over. */
  takenAt?: number
}

/** Ends of a run after which the person goes on with it. */
export const resumable: ReadonlySet<unknown> = new Set(['crash-loop', 'requested'])
