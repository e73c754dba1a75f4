import { createRuntime, defineAgent, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, test } from 'vitest'

const assistant = defineAgent({ name: 'assistant', model: 'fast', limits: { maxFileSize: 5 * 1024 * 1024 } })
const start = (model: ReturnType<typeof scriptedModel>) =>
  createRuntime(assistant, { models: { fast: model }, store: memoryStore() })

// #region send
test('asks about a file, and shows it again', async () => {
  const model = scriptedModel([reply.text('A list of cities.')])
  await using runtime = start(model)
  const session = runtime.session('trip')
  const cities = new File(['Porto\nUlm'], 'cities.csv', { type: 'text/csv' }) // or a form's input.files
  await session.send({ text: 'What is this?', files: [cities] }).result

  const [message] = (await session.view.ready).messages
  const file = message?.parts.find((part) => part.type === 'file')
  expect(file).toMatchObject({ mediaType: 'text/csv', filename: 'cities.csv' })
  const blob = await session.file(file?.url ?? '') // for URL.createObjectURL
  expect(await blob.text()).toBe('Porto\nUlm')
})
// #endregion

// #region copies
test('keeps a session as a document, and tries something else in a fork', async () => {
  const model = scriptedModel([reply.text('Porto.'), reply.text('Ulm.')])
  await using runtime = start(model)
  const session = runtime.session('trip')
  await session.ask('Where to?')
  const document = await runtime.sessions.export('trip') // a Blob: offer it as a download
  const copy = await runtime.sessions.import(document)
  expect((await copy.view.ready).messages).toHaveLength(2)

  const [question] = (await session.view.ready).messages
  const fork = await session.fork({ at: question?.id ?? '' })
  await fork.regenerate().result
  expect((await fork.view.ready).messages).toHaveLength(2)
  expect(await runtime.sessions.list()).toHaveLength(3)
})
// #endregion
