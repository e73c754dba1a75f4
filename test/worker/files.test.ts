import { describe, expect, it } from 'vitest'
import { failureOf } from './fixtures/failures.ts'
import { workplace } from './fixtures/real-worker.ts'

const urlsOf = (message: { readonly parts: readonly object[] } | undefined) =>
  (message?.parts ?? []).flatMap((part) => ('url' in part ? [String(part.url)] : []))

const textOf = async (blob: Blob) => `${blob.type} ${await blob.text()}`

describe('files over a port', () => {
  it('are stored by the worker, and read by any page, also after its death', async () => {
    const place = workplace()
    const session = place.open().session('s')
    const input = document.createElement('input')
    input.type = 'file'
    input.multiple = true
    const chosen = new DataTransfer()
    chosen.items.add(new File(['one'], 'one.txt', { type: 'text/plain' }))
    chosen.items.add(new File(['two'], 'two.csv'))
    input.files = chosen.files
    const run = session.send({ text: 'Look', files: input.files })
    ;(await place.model.next()).say('Seen')
    await run.result
    const [message] = (await session.view.ready).messages
    expect(message?.parts).toMatchObject([
      { type: 'file', mediaType: 'text/plain', filename: 'one.txt' },
      { type: 'file', mediaType: 'text/csv', filename: 'two.csv' },
      { type: 'text', text: 'Look' },
    ])
    const read = async (page = session) => Promise.all(urlsOf(message).map(async (url) => textOf(await page.file(url))))
    expect(await read()).toEqual(['text/plain one', 'text/csv two'])
    const other = place.open().session('s')
    expect(await read(other)).toEqual(['text/plain one', 'text/csv two'])
    place.kill()
    expect(await read()).toEqual(['text/plain one', 'text/csv two'])
    expect(await failureOf(session.file('turnloop:blob/none'))).toMatchObject({ code: 'unknown-file' })
  })

  it('go with an input that waits when its worker is lost, and are there once', async () => {
    const place = workplace()
    const session = place.open().session('s')
    const first = session.send('first')
    await place.model.next()
    const { inputId, delivered } = await first.steer({ files: [new Blob(['late'], { type: 'text/plain' })] })
    place.kill()
    ;(await place.model.next()).say('Both')
    await first.result
    await delivered
    const steered = (await session.view.ready).messages.filter(({ id }) => id === inputId)
    expect(steered).toHaveLength(1)
    expect(await textOf(await session.file(urlsOf(steered[0])[0] ?? ''))).toBe('text/plain late')
  })

  it('are sent as they are, and refused in words', async () => {
    const session = workplace().open().session('s')
    expect(await failureOf(session.send({ files: [] }).result)).toMatchObject({ code: 'invalid-input' })
    expect(
      await failureOf(session.send({ files: [new Blob(['x'])] }, { limits: { maxFileSize: 0.5 } }).result),
    ).toMatchObject({
      code: 'invalid-argument',
    })
    const large = new Blob([new Uint8Array(21 * 1024 * 1024)])
    expect(await failureOf(session.send({ files: [large] }).result)).toMatchObject({ code: 'file-too-large' })
  })
})

describe('copies over a port', () => {
  it('are exported, imported and forked, and listed in another tab at once', async () => {
    const place = workplace()
    const page = place.open()
    const session = page.session('s')
    const run = session.send({ text: 'Hi', files: [new Blob([new Uint8Array(300_000)], { type: 'image/png' })] })
    ;(await place.model.next()).say('Hello')
    await run.result
    const tab = place.open()
    const list = tab.sessions.view()
    const leave = list.subscribe(() => {})
    await list.ready
    const document = await page.sessions.export('s')
    expect(document.type).toBe('application/json')
    const imported = await page.sessions.import(document)
    const fork = await tab.session('s').fork()
    await expect
      .poll(() => list.getSnapshot().map(({ id }) => id))
      .toEqual(expect.arrayContaining([imported.id, fork.id]))
    leave()
    const { messages } = await session.view.ready
    for (const copy of [imported, fork, tab.session(imported.id)]) {
      expect((await copy.view.ready).messages).toEqual(messages)
      expect((await copy.file(urlsOf(messages[0])[0] ?? '')).size).toBe(300_000)
    }
    const next = imported.send('And now?')
    ;(await place.model.next()).say('Now')
    expect(await next.result).toMatchObject({ text: 'Now' })
    expect(await failureOf(page.sessions.import(new Blob(['{}'])))).toMatchObject({ code: 'invalid-document' })
  })
})
