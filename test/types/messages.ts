// A message is the AI SDK's `UIMessage`, in both directions, so that its components and helpers take ours.
import type { ChatStatus, InferUITools, UIDataTypes, UIMessage, UIMessagePart, UITools } from 'ai'
import type { AppOf, Message, MessageMetadata, SessionSnapshot, ToolTypes } from 'turnloop'
import type { assistant, Runtime } from './app.ts'
import { takes } from './same.ts'

type App = AppOf<Runtime>
type Theirs = UIMessage<MessageMetadata, UIDataTypes, ToolTypes<App>>

declare const ours: Message<App>
declare const any: Message
declare const theirs: Theirs
declare const snapshot: SessionSnapshot<App>

takes<Theirs>(ours)
takes<UIMessage<MessageMetadata>>(any)
takes<UIMessage>(any)
takes<UIMessagePart<UIDataTypes, ToolTypes<App>>>(ours.parts[0] as Message<App>['parts'][number])
takes<UITools>({} as ToolTypes<App>)
takes<ChatStatus>(snapshot.status)
takes<readonly Theirs[]>(snapshot.messages)

// What we have no use for, theirs may hold: data parts, steps, approvals, messages of the system, and an input that is
// parsed while it is being written. All else of theirs is ours.
type Shared = Extract<Theirs['parts'][number], { type: Message<App>['parts'][number]['type'] }>
type Unused = { state: 'input-streaming' | 'approval-requested' | 'approval-responded' | 'output-denied' }
takes<Message<App>['parts'][number]>({} as Exclude<Shared, Unused>)
takes<Message<App>['parts'][number]['type']>({} as Shared['type'])
takes<Message<App>['metadata'] | undefined>(theirs.metadata)

// The same types from the AI SDK's own helper.
type Tools = NonNullable<typeof assistant.tools>
takes<InferUITools<Pick<Tools, 'forecast'>>>({} as Pick<ToolTypes<App>, 'forecast'>)
takes<Pick<ToolTypes<App>, 'forecast'>>({} as InferUITools<Pick<Tools, 'forecast'>>)
