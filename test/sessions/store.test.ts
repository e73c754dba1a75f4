import { indexedDbStore } from '../../src/sessions/indexeddb-store.ts'
import { memoryStore } from '../../src/sessions/memory-store.ts'
import { describeStore, type OpenStores } from './store-contract.ts'
import { describeWholeSessions } from './whole-sessions-contract.ts'

function openMemory(now?: () => number): OpenStores {
  const store = memoryStore(now && { now })
  return { here: store, there: store, close: () => store.close() }
}

function openIndexedDb(now?: () => number): OpenStores {
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
}

for (const describeContract of [describeStore, describeWholeSessions]) {
  describeContract('memoryStore', openMemory)
  describeContract('indexedDbStore', openIndexedDb)
}
