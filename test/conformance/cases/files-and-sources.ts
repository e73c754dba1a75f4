import type { Case } from '../case.ts'
import { answer, call, type Part, text } from '../parts.ts'
import { forecast } from '../tools.ts'

export const filesAndSources: Case[] = [
  {
    name: 'a source of a URL is shown and not sent back',
    answers: [
      answer(text('0', 'See'), {
        type: 'source',
        sourceType: 'url',
        id: 's1',
        url: 'https://example.com/',
        title: 'Example',
        providerMetadata: { a: { b: 'c' } },
      }),
    ],
  },
  {
    name: 'a source without a title',
    answers: [answer({ type: 'source', sourceType: 'url', id: 's1', url: 'https://example.com/' }, text('0', 'See'))],
  },
  {
    name: 'a source of a document is shown and not sent back',
    answers: [
      answer(
        {
          type: 'source',
          sourceType: 'document',
          id: 's1',
          mediaType: 'application/pdf',
          title: 'Report',
          filename: 'report.pdf',
        },
        { type: 'source', sourceType: 'document', id: 's2', mediaType: 'text/plain', title: 'Notes' },
        text('0', 'See'),
      ),
    ],
  },
  {
    name: 'sources in the middle of a text do not cut it',
    answers: [
      answer([
        { type: 'text-start', id: '0' },
        { type: 'text-delta', id: '0', delta: 'One' },
        { type: 'source', sourceType: 'url', id: 's1', url: 'https://example.com/' },
        { type: 'text-delta', id: '0', delta: ' two' },
        { type: 'text-end', id: '0' },
      ]),
    ],
  },
  {
    name: 'a file that the model made, in base64',
    answers: [
      answer(text('0', 'Here'), { type: 'file', mediaType: 'image/png', data: { type: 'data', data: 'iVBORw0KGgo=' } }),
    ],
  },
  {
    name: 'a file that the model made, in bytes',
    answers: [
      answer(
        {
          type: 'file',
          mediaType: 'application/octet-stream',
          data: { type: 'data', data: new Uint8Array([0, 1, 254, 255]) },
        },
        text('0', 'There'),
      ),
    ],
  },
  {
    name: "a file's metadata goes back with it",
    answers: [
      answer({
        type: 'file',
        mediaType: 'image/png',
        data: { type: 'data', data: 'AAAA' },
        providerMetadata: { google: { thoughtSignature: 'abc' } },
      }),
    ],
  },
  {
    name: 'a file that the model made, by its URL',
    answers: [
      answer({
        type: 'file',
        mediaType: 'image/png',
        data: { type: 'url', url: new URL('https://generated.example/a.png') },
      }),
    ],
    differs: ['generated files by URL'],
  },
  {
    name: 'a file of its reasoning',
    answers: [
      answer(
        {
          type: 'reasoning-file',
          mediaType: 'image/png',
          data: { type: 'data', data: 'AAAA' },
          providerMetadata: { google: { thoughtSignature: 'abc' } },
        },
        text('0', 'Yes'),
      ),
    ],
  },
  {
    name: 'a file of its reasoning, in bytes',
    answers: [
      answer(
        { type: 'reasoning-file', mediaType: 'image/png', data: { type: 'data', data: new Uint8Array([9, 9]) } },
        text('0', 'Yes'),
      ),
    ],
  },
  {
    name: 'custom parts go back with their metadata',
    answers: [
      answer(
        { type: 'custom', kind: 'openai.compaction', providerMetadata: { openai: { itemId: 'cmp_1' } } },
        text('0', 'Yes'),
        { type: 'custom', kind: 'mock.bare' },
      ),
    ],
  },
  {
    name: 'files and custom parts before a call',
    tools: () => ({ forecast: forecast() }),
    answers: [
      answer(
        { type: 'file', mediaType: 'image/png', data: { type: 'data', data: 'AAAA' } },
        { type: 'custom', kind: 'mock.thing' },
        call('c1', 'forecast', { city: 'Ulm' }),
      ),
      answer(text('0', 'Yes')),
    ],
  },
  {
    name: 'raw parts and pings are ignored',
    answers: [
      answer({ type: 'ping' }, { type: 'raw', rawValue: { any: 'thing' } }, text('0', 'Yes'), { type: 'ping' }),
    ],
  },
  {
    name: 'a part of a kind that is not known yet is ignored',
    answers: [answer(text('0', 'Yes'), { type: 'hologram', data: 'x' } as unknown as Part)],
    answersForReference: [answer(text('0', 'Yes'))],
  },
  {
    name: 'response metadata is no part of the message',
    answers: [
      answer({ type: 'response-metadata', id: 'r1', modelId: 'mock-2026', timestamp: new Date(0) }, text('0', 'Yes')),
    ],
  },
  {
    name: "a text's citations are shown",
    answers: [
      answer([
        { type: 'text-start', id: '0' },
        { type: 'text-delta', id: '0', delta: 'It rains' },
        {
          type: 'text-end',
          id: '0',
          citations: [
            {
              source: { type: 'source', sourceType: 'url', id: 's1', url: 'https://example.com/' },
              startIndex: 3,
              endIndex: 8,
            },
          ],
        },
      ]),
    ],
  },
]
