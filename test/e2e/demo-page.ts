import type { Locator, Page } from 'playwright-core'
import { vi } from 'vitest'

/** The demo page, by the accessible names that it promises. */
export class DemoPage {
  readonly page: Page
  constructor(page: Page) {
    this.page = page
  }

  get sessions() {
    return this.page.getByRole('navigation', { name: 'Sessions', exact: true })
  }
  get newSession() {
    return this.sessions.getByRole('button', { name: 'New session', exact: true })
  }
  get log() {
    return this.page.getByRole('log', { name: 'Conversation', exact: true })
  }
  get message() {
    return this.page.getByRole('textbox', { name: 'Message', exact: true })
  }
  get send() {
    return this.button('Send')
  }
  get stop() {
    return this.button('Stop')
  }
  get model() {
    return this.page.getByRole('combobox', { name: 'Model', exact: true })
  }
  get events() {
    return this.page.getByRole('complementary', { name: 'Events', exact: true })
  }
  /** The cards of tool calls. */
  get tools() {
    return this.log.locator('details.tool')
  }

  button(name: string) {
    return this.page.getByRole('button', { name, exact: true })
  }

  deleteSession(title: string) {
    return this.sessions.getByRole('button', { name: `Delete session ${title}`, exact: true })
  }

  session(title: string) {
    return this.sessions.getByRole('link').filter({ hasText: title })
  }

  /** Sends the text and goes on at once. */
  async say(text: string): Promise<void> {
    await this.message.fill(text)
    await this.send.click()
  }

  /** Sends the text and waits for the end of its answer. */
  async ask(text: string): Promise<void> {
    await this.say(text)
    await this.shows(text)
    await this.idle()
  }

  /** Waits until the conversation holds this text. */
  async shows(text: string | RegExp): Promise<void> {
    await this.log.getByText(text).last().waitFor()
  }

  /** Waits until nothing is under way. */
  async idle(): Promise<void> {
    await vi.waitFor(
      async () => {
        if ((await this.log.getAttribute('aria-busy')) !== 'false') throw new Error('The conversation is still busy')
      },
      { timeout: 30_000, interval: 50 },
    )
  }

  async text(): Promise<string> {
    return visibleText(this.log)
  }
}

// biome-ignore lint/performance/useDomNodeTextContent: what is visible counts
export const visibleText = (locator: Locator): Promise<string> => locator.innerText()
