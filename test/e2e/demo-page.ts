import { readFile } from 'node:fs/promises'
import type { Locator, Page } from 'playwright-core'
import { waitFor } from '../wait-for.ts'

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
  /** The question before a call. */
  get approval() {
    return this.page.getByRole('dialog', { name: 'Approval', exact: true })
  }
  get permissionsTab() {
    return this.events.getByRole('tabpanel', { name: 'Permissions', exact: true })
  }
  get attachments() {
    return this.page.getByRole('list', { name: 'Attached files', exact: true }).getByRole('listitem')
  }
  get runTab() {
    return this.events.getByRole('tabpanel', { name: 'Run', exact: true })
  }
  /** The line below the composer: tokens, cost, context. */
  get usage() {
    return this.page.getByTitle('Shows the tab Run')
  }
  /** The cards of tool calls. */
  get tools() {
    return this.log.locator('details.tool')
  }

  /** A question to the person, by its title. */
  question(title: string) {
    return this.log.getByRole('region', { name: title, exact: true })
  }

  /** The field of a limit, in the tab Run. */
  limit(label: string) {
    return this.runTab.getByRole('spinbutton', { name: label, exact: true })
  }

  async openRunTab(): Promise<void> {
    await this.openTab('Run')
  }

  async openTab(name: 'Events' | 'Run' | 'Permissions'): Promise<void> {
    await this.events.getByRole('button', { name: 'Events' }).click()
    await this.events.getByRole('tab', { name, exact: true }).click()
  }

  /** Answers the question before a call. */
  async answer(button: 'Allow once' | 'Always allow' | 'Deny' | 'Edit'): Promise<void> {
    await this.approval.getByRole('button', { name: button, exact: true }).click()
  }

  /** Attaches files with the button of the composer. */
  async attach(...files: { name: string; mimeType: string; buffer: Buffer }[]): Promise<void> {
    const [chooser] = await Promise.all([this.page.waitForEvent('filechooser'), this.button('Attach a file').click()])
    await chooser.setFiles(files)
  }

  /** Chooses a session to import. */
  async import(text: string): Promise<void> {
    const [chooser] = await Promise.all([this.page.waitForEvent('filechooser'), this.button('Import session').click()])
    await chooser.setFiles({ name: 'session.json', mimeType: 'application/json', buffer: Buffer.from(text) })
  }

  /** Saves the session as a document, and gives it. */
  async export(): Promise<string> {
    await this.button('Session menu').click()
    const [saved] = await Promise.all([this.page.waitForEvent('download'), this.button('Export session').click()])
    return readFile(await saved.path(), 'utf8')
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
    await waitFor(
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
