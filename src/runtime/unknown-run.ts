import { AgentError } from '../errors.ts'

export const unknownRun = (runId: string) => new AgentError('unknown-run', `There is no run "${runId}".`)
