import type { LanguageModelV4StreamPart, LanguageModelV4Usage } from '@ai-sdk/provider'
import type { Usage } from '../api/public-types.ts'
import { httpError, lostConnection } from './provider-errors.ts'
import type { FinishReason, Piece, Reply } from './reply.ts'

/** One event of a scripted stream: a part, its breaking off, or silence for good. */
export type Frame =
  | { readonly part: LanguageModelV4StreamPart }
  | { readonly breaks: unknown }
  | { readonly hangs: true }

export interface FrameOptions {
  readonly modelId: string
  readonly responseId: string
  readonly usage: Partial<Usage>
  readonly newCallId: () => string
}

/** All that a reply streams, in order. */
export function framesOf({ pieces }: Reply, options: FrameOptions): Frame[] {
  const [only] = pieces
  if (pieces.length === 1 && only?.type === 'parts') return only.parts.map((part) => ({ part }))
  const frames: Frame[] = []
  const add = (parts: readonly LanguageModelV4StreamPart[]) => {
    for (const part of parts) frames.push({ part })
  }
  const { responseId: id, modelId, usage } = options
  add([
    { type: 'stream-start', warnings: [] },
    { type: 'response-metadata', id, modelId, timestamp: new Date() },
  ])
  for (const [index, piece] of pieces.entries()) {
    switch (piece.type) {
      case 'text':
      case 'reasoning':
        add(textParts(piece.type, String(index), piece.text))
        // The connection is lost in the middle of a text, not between two.
        if (pieces[index + 1]?.type === 'drop') frames.pop()
        break
      case 'call':
        add(callParts(piece, piece.toolCallId ?? options.newCallId()))
        break
      case 'parts':
        add(piece.parts)
        break
      case 'finish':
        break
      case 'fail':
        add([{ type: 'error', error: httpError(piece.status, piece.headers) }, finish('error', usage)])
        return frames
      case 'drop':
        return [...frames, { breaks: lostConnection() }]
      case 'hang':
        return [...frames, { hangs: true }]
    }
  }
  if (!pieces.some(isEnd)) add([endOf(pieces, options)])
  return frames
}

const isEnd = (piece: Piece) => piece.type === 'parts' && piece.parts.some(({ type }) => type === 'finish')

function textParts(type: 'text' | 'reasoning', id: string, text: string): LanguageModelV4StreamPart[] {
  const words = text.match(/\s*\S+(\s+$)?|^\s+$/g) ?? []
  return [
    { type: `${type}-start`, id },
    ...words.map((delta) => ({ type: `${type}-delta` as const, id, delta })),
    { type: `${type}-end`, id },
  ]
}

function callParts({ name, json }: Extract<Piece, { type: 'call' }>, id: string): LanguageModelV4StreamPart[] {
  const deltas = json.match(/[\s\S]{1,12}/gu) ?? []
  return [
    { type: 'tool-input-start', id, toolName: name },
    ...deltas.map((delta) => ({ type: 'tool-input-delta' as const, id, delta })),
    { type: 'tool-input-end', id },
    { type: 'tool-call', toolCallId: id, toolName: name, input: json },
  ]
}

function endOf(pieces: readonly Piece[], { usage }: FrameOptions) {
  const given = pieces.findLast((piece) => piece.type === 'finish')
  return finish(given?.reason ?? (pieces.some(asksForTools) ? 'tool-calls' : 'stop'), { ...usage, ...given?.usage })
}

const asksForTools = (piece: Piece) =>
  piece.type === 'call' ||
  (piece.type === 'parts' && piece.parts.some((part) => part.type === 'tool-call' && !part.providerExecuted))

const finish = (reason: FinishReason, usage: Partial<Usage>): LanguageModelV4StreamPart => ({
  type: 'finish',
  finishReason: { unified: reason, raw: reason },
  usage: toProviderUsage(usage),
})

function toProviderUsage({
  inputTokens = 0,
  outputTokens = 0,
  cachedInputTokens = 0,
  reasoningTokens = 0,
}: Partial<Usage>): LanguageModelV4Usage {
  return {
    inputTokens: {
      total: inputTokens,
      noCache: inputTokens - cachedInputTokens,
      cacheRead: cachedInputTokens,
      cacheWrite: 0,
    },
    outputTokens: { total: outputTokens, text: outputTokens - reasoningTokens, reasoning: reasoningTokens },
  }
}
