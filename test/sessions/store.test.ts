import { indexedDbStore } from '../../src/sessions/indexeddb-store.ts'
import { memoryStore } from '../../src/sessions/memory-store.ts'
import { describeStore } from './store-contract.ts'

describeStore('memoryStore', (now) => {
  const store = memoryStore(now && { now })
  return { here: store, there: store, close: () => store.close() }
})

describeStore('indexedDbStore', (now) => {
  const name = crypto.randomUUID()
  const options = { name, ...(now && { now }) }
  const here = indexedDbStore(options)
  const there = indexedDbStore(options)
  return {
    here,
    there,
    close: async () => {
      await Promise.all([here.close(), there.close()])
      indexedDB.deleteDatabase(name)
    },
  }
})
