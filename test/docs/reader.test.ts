import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, it, onTestFinished, vi } from 'vitest'
import { reader } from '../../docs/examples/reader/agent.ts'

/** What somebody is asked about while the model reads these pages, in this order. */
async function askedAbout(...urls: string[]) {
  vi.stubGlobal('fetch', async () => new Response('Welcome'))
  onTestFinished(() => void vi.unstubAllGlobals())
  const model = scriptedModel([...urls.map((url) => reply.call('read_page', { url })), reply.text('Read.')])
  const runtime = createRuntime(reader, { model, store: memoryStore() })
  onTestFinished(() => runtime.close())
  const asked: object[] = []
  runtime.on('approval-requested', ({ approval }) => {
    if (approval.reason !== 'policy') return
    asked.push({ url: (approval.input as { url: string }).url, tainted: approval.tainted ?? false })
    void runtime.approvals.answer(approval, { decision: 'allow-once' })
  })
  await runtime.session().send('Read them').result
  return asked
}

it('the tool that reads pages asks about hosts that are not known, and about any page once it has read one', async () => {
  expect(await askedAbout('https://example.org/')).toEqual([])
  const [first, second] = ['https://elsewhere.example/', 'https://example.org/']
  expect(await askedAbout(first, second)).toEqual([
    { url: first, tainted: false },
    { url: second, tainted: true },
  ])
})

it('the tool that reads pages takes addresses of pages alone', async () => {
  expect(await askedAbout('http://elsewhere.example/', 'https://', 'file:///etc/passwd')).toEqual([])
})
