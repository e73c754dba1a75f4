import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Files under the folder that hold the text, as UTF-8 or UTF-16. */
export async function filesWith(folder: string, text: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const found: string[] = []
  for (const entry of entries.filter((entry) => entry.isFile())) {
    const file = join(entry.parentPath, entry.name)
    const content = await readFile(file)
    if (content.includes(text) || content.includes(Buffer.from(text, 'utf16le'))) found.push(file)
  }
  return found
}
