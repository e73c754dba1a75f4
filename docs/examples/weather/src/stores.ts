// #region stores
import { createRuntime, indexedDbStore, memoryStore } from 'turnloop/runtime'
import { assistant } from './agent.worker.ts'

export const kept = createRuntime(assistant, { store: indexedDbStore({ name: 'my-app' }) })
export const forgotten = createRuntime(assistant, { store: memoryStore() })
// #endregion
