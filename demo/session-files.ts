import type { Session } from 'turnloop'

interface Kept {
  readonly url?: string
  readonly mediaType?: string
  readonly filename?: string
}

/** The files among a message's parts, or of an input that waits, as they can be sent again. Rejects where one is gone. */
export async function filesOf(session: Session, parts: readonly object[]): Promise<(File | URL)[]> {
  const files = parts.filter((part: Kept & { type?: string }) => part.url && (part.type ?? 'file') === 'file') as Kept[]
  return Promise.all(
    files.map(async ({ url = '', mediaType = '', filename = '' }) =>
      url.startsWith('turnloop:blob/')
        ? new File([await session.file(url)], filename, { type: mediaType })
        : new URL(url),
    ),
  )
}

/** Those that a person can attach. */
export const ownFiles = (files: readonly (File | URL)[]): File[] =>
  files.filter((file): file is File => file instanceof File)
