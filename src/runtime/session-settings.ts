import type { SettingsRecord } from '../sessions/records.ts'

/** A session's settings, which anybody may change: read once, and again after a change was heard of. */
export class SessionSettings {
  #known: { readonly settings: SettingsRecord | undefined } | undefined
  #changes = 0

  changed() {
    this.#changes++
    this.#known = undefined
  }

  async current(read: () => Promise<SettingsRecord | undefined>): Promise<SettingsRecord | undefined> {
    for (;;) {
      if (this.#known) return this.#known.settings
      const changes = this.#changes
      const settings = await read()
      // What changed while it was read is read anew.
      if (changes === this.#changes) this.#known = { settings }
    }
  }
}
