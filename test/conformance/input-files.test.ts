import type { LanguageModelV4Prompt } from '@ai-sdk/provider'
import { streamText } from 'ai'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createRuntime, defineAgent, memoryStore } from '../../src/runtime/index.ts'
import { reply, scriptedModel } from '../../src/testing/index.ts'

// What a model is told of the user's files: the same as through `streamText`.

const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
const url = new URL('https://files.example/a.png')

type SupportedUrls = Record<string, RegExp[]>
type File = { readonly data: Uint8Array<ArrayBuffer> | URL; readonly mediaType: string; readonly filename?: string }

async function withStreamText(file: File, supportedUrls: SupportedUrls) {
  const model = { ...scriptedModel([reply.text('Yes.')]), supportedUrls }
  const content = [
    { type: 'file' as const, ...file },
    { type: 'text' as const, text: 'What is it?' },
  ]
  const download = async (files: readonly { readonly isUrlSupportedByModel: boolean }[]) =>
    files.map(({ isUrlSupportedByModel }) => (isUrlSupportedByModel ? null : { data: png, mediaType: 'image/png' }))
  const { text } = streamText({ model, messages: [{ role: 'user', content }], experimental_download: download })
  await text
  return userMessage(model.calls)
}

async function withRuntime({ data, mediaType, filename }: File, supportedUrls: SupportedUrls) {
  vi.stubGlobal('fetch', async () => new Response(png, { headers: { 'content-type': 'image/png' } }))
  onTestFinished(() => void vi.unstubAllGlobals())
  const model = { ...scriptedModel([reply.text('Yes.')]), supportedUrls }
  const runtime = createRuntime(defineAgent({ name: 'assistant', model }), { store: memoryStore() })
  onTestFinished(() => runtime.close())
  const given = data instanceof URL ? data : { data, mediaType, ...(filename === undefined ? undefined : { filename }) }
  await runtime.session().send({ text: 'What is it?', files: [given] }).result
  return userMessage(model.calls)
}

/** Without fields that are undefined. */
const userMessage = (calls: readonly { readonly prompt: LanguageModelV4Prompt }[]) =>
  (calls[0]?.prompt ?? []).map(({ role, content }) => ({
    role,
    content: (content as readonly object[]).map((part) =>
      Object.fromEntries(Object.entries(part).filter(([, value]) => value !== undefined)),
    ),
  }))

describe("the user's files", () => {
  test.each<[string, File, SupportedUrls]>([
    ['bytes', { data: png, mediaType: 'image/png' }, {}],
    ['bytes with a name', { data: png, mediaType: 'image/png', filename: 'a.png' }, { '*': [/./] }],
    ['a document', { data: new Uint8Array([37, 80, 68, 70]), mediaType: 'application/pdf' }, {}],
    ['a URL that the model reads', { data: url, mediaType: 'image/png' }, { 'image/*': [/^https:/] }],
    ['a URL of a type that it reads', { data: url, mediaType: 'image/png' }, { 'image/png': [/./g] }],
    ['any URL that it reads', { data: url, mediaType: 'image/png' }, { '*/*': [/files/] }],
    ['a URL of a type that it does not read', { data: url, mediaType: 'image/png' }, { 'application/pdf': [/./] }],
    ['a URL at a place that it does not read', { data: url, mediaType: 'image/png' }, { 'image/*': [/^http:/] }],
    ['a URL to a model that reads none', { data: url, mediaType: 'image/png' }, {}],
  ])('%s', async (_, file, supportedUrls) => {
    expect(await withRuntime(file, supportedUrls)).toEqual(await withStreamText(file, supportedUrls))
  })
})
