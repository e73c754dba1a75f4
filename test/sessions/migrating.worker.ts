import { indexedDbStore } from '../../src/sessions/indexeddb-store.ts'

// Opens the database that it is told, and stands still in the middle of its migration, until it is terminated.

addEventListener('message', ({ data: name }: MessageEvent<string>) => {
  const put = IDBObjectStore.prototype.put
  let count = 0
  IDBObjectStore.prototype.put = function (...args) {
    const request = put.apply(this, args)
    if (++count < 10) return request
    postMessage('in the middle')
    for (;;);
  }
  void indexedDbStore({ name }).listSessions({ limit: 1 })
})
