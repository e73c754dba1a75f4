import { connect } from 'turnloop'
import type { runtime } from './runtime.worker.ts'

export const connectWorker = () =>
  connect<typeof runtime>(() => new Worker(new URL('./runtime.worker.ts', import.meta.url), { type: 'module' }))
