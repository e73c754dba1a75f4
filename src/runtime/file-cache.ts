/** Bytes that are kept of a run's files, for its next turns. */
const most = 64 * 1024 * 1024

export interface LoadedFile {
  readonly bytes: Uint8Array
  readonly mediaType?: string | undefined
}

/** What was loaded for a prompt, by URL. The oldest goes first. */
export class FileCache {
  readonly #files = new Map<string, LoadedFile>()
  #size = 0

  async get(url: string, load: () => Promise<LoadedFile | undefined>): Promise<LoadedFile | undefined> {
    const known = this.#files.get(url)
    if (known) return known
    const file = await load()
    if (file && !this.#files.has(url)) this.#keep(url, file)
    return file
  }

  #keep(url: string, file: LoadedFile) {
    this.#files.set(url, file)
    this.#size += file.bytes.length
    for (const [oldest, { bytes }] of this.#files) {
      if (this.#size <= most) return
      this.#files.delete(oldest)
      this.#size -= bytes.length
    }
  }
}
