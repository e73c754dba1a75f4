/** A database of its own, used without anything of turnloop in between. */
export async function openBare(name: string): Promise<IDBDatabase> {
  const open = indexedDB.open(name, 1)
  open.onupgradeneeded = () => open.result.createObjectStore('bare')
  return answer(open)
}

const value = {
  v: 1,
  id: crypto.randomUUID(),
  text: 'some text '.repeat(30),
  usage: { inputTokens: 10, outputTokens: 80 },
}

/** One transaction as small as a commit: three records read, five written. */
export async function bareTransaction(db: IDBDatabase, durability: 'strict' | 'relaxed'): Promise<void> {
  const transaction = db.transaction('bare', 'readwrite', { durability })
  const complete = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve
    transaction.onabort = () => reject(transaction.error)
  })
  const store = transaction.objectStore('bare')
  await Promise.all([1, 2, 3].map((n) => answer(store.get(['read', n]))))
  for (const n of [1, 2, 3]) store.put(value, ['again', n])
  for (const n of [1, 2]) store.put(value, ['new', crypto.randomUUID(), n])
  transaction.commit()
  await complete
}

const answer = <T>(request: IDBRequest<T>) =>
  new Promise<T>((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
