import '../disposable.ts'

export type { ContextOptions, SummariseContext } from '../agent/context-options.ts'
export type {
  AgentDefinition,
  Amount,
  Budget,
  DoomLoopOptions,
  InstructionsContext,
  Model,
  ModelErrorContext,
  ModelErrorDecision,
  ModelFunction,
  ModelTimeout,
  Price,
  RetryOptions,
} from '../agent/define-agent.ts'
export { defineAgent } from '../agent/define-agent.ts'
export type {
  AnswerHook,
  CompactionHook,
  HookContext,
  InputHook,
  Middleware,
  ModelHook,
  RunEndHook,
  ToolCallHook,
  ToolResultHook,
} from '../agent/middleware.ts'
export type { Policy, PolicyCall, PolicyContext, PolicyDecision } from '../agent/policy.ts'
export type { RedactKind, RedactOptions } from '../agent/redact.ts'
export { redact } from '../agent/redact.ts'
export type { Skill } from '../agent/skill.ts'
export type { ToolContext, ToolPolicy } from '../agent/tool.ts'
export { jsonSchema, tool } from '../agent/tool.ts'
export type { FailedCall, OnToolError, ToolErrorContext, ToolErrorDecision } from '../agent/tool-errors.ts'
export type { ToolSource, ToolSourceContext } from '../agent/tool-source.ts'
export type * from '../api/public-types.ts'
export type { DelegationOptions } from '../delegation/options.ts'
export type { AgentErrorCode } from '../errors.ts'
export { AgentError } from '../errors.ts'
export { fetchWithoutUserAgent } from '../model/fetch-without-user-agent.ts'
export { indexedDbStore } from '../sessions/indexeddb-store.ts'
export { memoryStore } from '../sessions/memory-store.ts'
export type { Store } from '../sessions/store.ts'
export { serve } from '../worker/serve.ts'
export type { RuntimeOptions } from './runtime.ts'
export { createRuntime } from './runtime.ts'
