import type { LanguageModelV4 } from '@ai-sdk/provider'

type SupportedUrls = Awaited<LanguageModelV4['supportedUrls']>

/** Whether a model reads files of this type at this address itself, by the AI SDK's rules. */
export const isUrlSupported = (url: string, mediaType: string, supported: SupportedUrls): boolean =>
  Object.entries(supported).some(
    ([pattern, urls]) =>
      fits(pattern.toLowerCase(), mediaType.toLowerCase()) && urls.some((own) => url.search(own) >= 0),
  )

function fits(pattern: string, mediaType: string): boolean {
  if (pattern === '*' || pattern === '*/*') return true
  const prefix = pattern.replace('*', '')
  // Of an `image` as such nobody knows which it is.
  if (!mediaType.includes('/')) return `${mediaType}/` === prefix
  return prefix.endsWith('/') ? mediaType.startsWith(prefix) : mediaType === prefix
}
