/** Notes what this page puts into IndexedDB, transaction by transaction. */
export function recordPuts() {
  const prototype = IDBObjectStore.prototype
  const original = prototype.put
  const transactions = new Map<IDBTransaction, [IDBValidKey | undefined, unknown][]>()
  let recording = false
  prototype.put = function (this: IDBObjectStore, value, key) {
    if (recording) {
      const puts = transactions.get(this.transaction) ?? []
      transactions.set(this.transaction, puts)
      puts.push([key, value])
    }
    return original.call(this, value, key)
  }
  return {
    begin: () => {
      transactions.clear()
      recording = true
    },
    /** The bytes of each commit since, as JSON: of the transactions that put a session's record. */
    end: (): number[] => {
      recording = false
      const commits = [...transactions.values()].filter((puts) =>
        puts.some(([key]) => Array.isArray(key) && key[0] === 'session'),
      )
      return commits.map((puts) => new TextEncoder().encode(JSON.stringify(puts)).length)
    },
    stop: () => {
      prototype.put = original
    },
  }
}
