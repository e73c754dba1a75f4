import type { PageLink } from './world/pages.ts'

/** How something dies. */
export type Death = 'worker' | 'page' | 'tab' | 'browser' | 'reload'
export const deaths: readonly Death[] = ['worker', 'page', 'tab', 'browser', 'reload']

/** One tab. The page in it is spoken to over `link`, by HTTP alone. */
export interface Tab {
  readonly link: PageLink
  /** The page crashes, as by a fault of its renderer. */
  crash(): Promise<void>
  /** The page is left for itself, anew. Gives the tab as it is then. */
  reload(): Promise<Tab>
  close(): Promise<void>
}

/** All that this suite needs of a browser: with this, it runs in any. */
export interface Browser {
  readonly name: string
  /** Opens the page in a tab; resolves once the page takes commands. */
  open(): Promise<Tab>
  /** Kills the whole browser at once, and starts it anew on the same profile. No tab is left. */
  kill(): Promise<void>
  close(): Promise<void>
}
