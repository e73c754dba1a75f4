/** What of a media type counts for most files that people attach, by the end of their names. */
const byExtension: Readonly<Record<string, string>> = {
  csv: 'text/csv',
  gif: 'image/gif',
  html: 'text/html',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  json: 'application/json',
  md: 'text/markdown',
  mp3: 'audio/mpeg',
  mp4: 'video/mp4',
  pdf: 'application/pdf',
  png: 'image/png',
  svg: 'image/svg+xml',
  txt: 'text/plain',
  wav: 'audio/wav',
  webp: 'image/webp',
  xml: 'application/xml',
}

export const unknownType = 'application/octet-stream'

/** The type that was given without its parameters, where it is one, else that of the name. */
export function mediaTypeOf(given: unknown, name = ''): string {
  const [, type] = /^([a-z]+\/[\w.+-]{1,127})(?:;|\s|$)/i.exec(String(given)) ?? []
  if (type && type !== unknownType) return type.toLowerCase()
  const extension = /\.(\w{1,8})$/.exec(name)?.[1]?.toLowerCase() ?? ''
  return (Object.hasOwn(byExtension, extension) && byExtension[extension]) || unknownType
}
