import type { PageToolResult, ToPage } from '../protocol/messages.ts'
import type { Ancestor } from '../sessions/records.ts'

/** A page as the runtime knows it. */
export interface Page {
  readonly pageId: string
  readonly tools: ReadonlySet<string>
  post(item: ToPage): void
}

export interface PageCall {
  readonly sessionId: string
  readonly runId: string
  readonly toolCallId: string
  readonly toolName: string
  readonly input: unknown
  /** The runs above its own. */
  readonly ancestors?: readonly Ancestor[]
}

/** How a page's part in a call ended: with a result, or `gone` when the page went away. */
export type PageOutcome = PageToolResult | 'gone'

/** The pages that are there, the last focused one last. */
export class Pages {
  readonly #pages = new Map<string, Page>()
  readonly #offered = new Set<string>()
  readonly #open = new Map<string, { readonly pageId: string; readonly settle: (outcome: PageOutcome) => void }>()

  add(page: Page) {
    this.#pages.set(page.pageId, page)
    for (const tool of page.tools) this.#offered.add(tool)
  }

  /** Whether a page that is or was there carries the tool out: then a call waits for a page, else for an answer. */
  everOffered(toolName: string) {
    return this.#offered.has(toolName)
  }

  has(pageId: string) {
    return this.#pages.has(pageId)
  }

  remove(pageId: string) {
    this.#pages.delete(pageId)
    for (const [key, call] of this.#open) {
      if (call.pageId !== pageId) continue
      this.#open.delete(key)
      call.settle('gone')
    }
  }

  focus(pageId: string) {
    const page = this.#pages.get(pageId)
    if (!page) return
    this.#pages.delete(pageId)
    this.#pages.set(pageId, page)
  }

  /** The page that carries the tool out: the one that asked for the run, else the last focused one that offers it. */
  offering(toolName: string, asked: string | undefined): Page | undefined {
    const offers = [...this.#pages.values()].filter(({ tools }) => tools.has(toolName))
    return offers.find(({ pageId }) => pageId === asked) ?? offers.at(-1)
  }

  /**
   * Has a page carry out a call. Settles once, whatever the page does; on `signal` the page is told to abort, and `late` hears
   * what it gives after that.
   */
  carryOut(page: Page, call: PageCall, signal: AbortSignal, late: (output: unknown) => void): Promise<PageOutcome> {
    const key = callKey(call)
    const { runId, toolCallId } = call
    return new Promise((resolve, reject) => {
      // A page that heeds its signal says only that.
      const lateOutput = (outcome: PageOutcome) => {
        if (typeof outcome === 'object' && 'output' in outcome) late(outcome.output)
      }
      const abort = () => {
        this.#open.set(key, { pageId: page.pageId, settle: lateOutput })
        page.post({ kind: '@page-tool-abort', runId, toolCallId })
        reject(signal.reason)
      }
      if (!this.#pages.has(page.pageId)) return resolve('gone')
      this.#open.set(key, {
        pageId: page.pageId,
        settle: (outcome) => {
          signal.removeEventListener('abort', abort)
          resolve(outcome)
        },
      })
      signal.addEventListener('abort', abort, { once: true })
      page.post({ kind: '@page-tool', ...call })
    })
  }

  /** The page's word on a call; what nobody waits for (any more) is dropped. */
  done(pageId: string, call: Pick<PageCall, 'runId' | 'toolCallId'>, result: PageToolResult) {
    const key = callKey(call)
    const open = this.#open.get(key)
    if (open?.pageId !== pageId) return
    this.#open.delete(key)
    open.settle(result)
  }
}

const callKey = ({ runId, toolCallId }: Pick<PageCall, 'runId' | 'toolCallId'>) => `${runId}\n${toolCallId}`
