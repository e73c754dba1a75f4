import './disposable.ts'

export type * from './api/public-types.ts'
export type { ConnectOptions } from './client/connect.ts'
export { connect } from './client/connect.ts'
export type { WorkerSource } from './client/port-link.ts'
export type { AgentErrorCode } from './errors.ts'
export { AgentError } from './errors.ts'
