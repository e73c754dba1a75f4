/// <reference lib="esnext.disposable" />
export type { AnyEvent, EventKind, EventOf, EventPayloads } from '../events/kinds.ts'
export type { CallSettings, CancelReason, Outcome, StopReason, Usage, WaitingFor } from '../sessions/records.ts'
export type {
  AgentName,
  AgentTypes,
  App,
  Call,
  CallOutcome,
  DynamicCall,
  KnownCall,
  PageToolName,
  ToolName,
  ToolTypes,
} from './app.ts'
export type { DynamicToolPart, Message, MessageMetadata, MessagePart, ToolPart, ToolPartState } from './message.ts'
export type {
  AgentRuntime,
  AppOf,
  Control,
  Input,
  InvocationHandle,
  Listen,
  ListenOptions,
  PageToolOptions,
  PageTools,
  QueuedInput,
  RunHandle,
  RunOutput,
  RunRequest,
  RunState,
  RuntimeInfo,
  SendOptions,
  Session,
  SessionContext,
  SessionInfo,
  SessionListenOptions,
  SessionSnapshot,
  SessionView,
  View,
} from './types.ts'
