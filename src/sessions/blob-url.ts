// Files whose bytes are stored apart are referred to by URLs of our own.

const scheme = 'turnloop:blob/'

export const blobUrl = (blobId: string) => `${scheme}${blobId}`

/** The blob's id; `undefined` for any other URL. */
export const blobIdOf = (url: unknown): string | undefined =>
  typeof url === 'string' && url.startsWith(scheme) ? url.slice(scheme.length) : undefined

/** The ids of all blobs that a record speaks of. */
export const blobIdsIn = (record: unknown): readonly string[] =>
  Array.from(JSON.stringify(record).matchAll(/turnloop:blob\/([^"\\\s]+)/g), ([, blobId = '']) => blobId)
