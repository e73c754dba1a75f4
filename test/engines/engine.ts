/** A browser engine, as these tests need it: steered by a driver, and alone with a profile on disk. */
export interface Engine {
  readonly name: string
  /** Starts a browser that a driver steers. */
  drive(): Promise<DrivenBrowser>
  /**
   * Starts a browser without a driver, on a profile that outlives it. The page is on its own then: it is told what to do by its
   * address and by the server.
   */
  start(profile: string, url: string): Promise<BareBrowser>
  close(): Promise<void>
}

export interface DrivenBrowser {
  readonly version: string
  /** Opens an address in a new tab. */
  open(url: string): Promise<Tab>
  /** The tab that the page opens by itself. */
  opened(act: () => Promise<void>): Promise<Tab>
  /** Errors that pages reported, of all tabs so far. */
  faults(): Promise<readonly string[]>
  close(): Promise<void>
}

export interface Tab {
  reload(): Promise<void>
  /** A real click on the element that the XPath finds. */
  click(xpath: string): Promise<void>
  /** Types into the element that the XPath finds, key by key. */
  type(xpath: string, text: string): Promise<void>
  /** Calls the function in the page and waits for its promise. It is sent as text: it can use its arguments alone. */
  run<A extends readonly unknown[], R>(page: (...args: A) => R | Promise<R>, ...args: A): Promise<R>
}

export interface BareBrowser {
  readonly running: boolean
  /** What its processes wrote last, the console of its pages among it. */
  readonly output: readonly string[]
  /** SIGKILL to the processes that carry out pages, and to no other. Rejects when there are none. */
  crashPages(): Promise<void>
  /** SIGKILL to all processes of it. */
  kill(): Promise<void>
}
