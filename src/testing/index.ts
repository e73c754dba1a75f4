export type { FinishReason, Reply } from './reply.ts'
export { reply } from './reply.ts'
export type { ScriptedModel, ScriptedModelOptions, ScriptedTurn } from './scripted-model.ts'
export { scriptedModel } from './scripted-model.ts'
