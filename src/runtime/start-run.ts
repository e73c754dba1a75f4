import type { InboxItem } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import type { SessionState } from '../sessions/store.ts'
import { resolved } from '../tools/approvals.ts'
import { closingLeftCalls, endStep, noResults } from './end-run.ts'
import type { Forked } from './forked-context.ts'
import { inputParts } from './input-files.ts'
import type { Rewound } from './rewind.ts'
import { auditOf, type End, type Run } from './run.ts'
import { messageBase } from './turn.ts'

/**
 * The first commit of a run: what the one before left open is closed, what is to be hidden is hidden, and the input is in
 * the history. Where the session can't be rewound as it was asked for, it is the last one, too: the end that was told.
 */
export function startStep(
  run: Run,
  { n, runId, request }: Extract<InboxItem, { type: 'input' }>,
  {
    messageId,
    told,
    forked,
  }: Pick<Rewound, 'messageId'> & { readonly told?: End | undefined; readonly forked: Forked },
  { approvals = [], calls = [], run: last }: Partial<Pick<SessionState, 'approvals' | 'calls' | 'run'>> = {},
  model?: string,
): Step {
  const { input, files, metadata } = request
  const started = {
    kind: 'run-started' as const,
    input,
    ...(files && { files }),
    ...(model === undefined ? undefined : { model }),
    ...(metadata === undefined ? undefined : { metadata }),
  }
  if (told) return endStep(run, told, noResults, { events: [started], applied: [n] })
  const left = closingLeftCalls(run, calls)
  const withdrawn = approvals.map((approval) => resolved(run, approval, { decision: 'withdrawn' }))
  const before = [...left.messages, ...forked.messages]
  const message = {
    ...messageBase(run, before.length),
    role: 'user' as const,
    parts: inputParts(input, files),
  }
  // An open run may begin without an input.
  const said = request.regenerates === undefined && run.record.idle === undefined
  return {
    messages: said ? [...before, message] : before,
    ...(forked.blobs.length > 0 && { blobs: forked.blobs }),
    calls: left.calls,
    approvals: withdrawn.flatMap(({ approvals }) => approvals),
    events: [
      started,
      ...left.events,
      ...withdrawn.flatMap(({ events }) => events),
      ...(messageId === undefined ? [] : [{ kind: 'history-rewound' as const, messageId }]),
      ...(said
        ? [
            {
              kind: 'input-delivered' as const,
              inputId: runId,
              input,
              ...(files && { files }),
              mode: 'queue' as const,
            },
            { kind: 'user-message-committed' as const, index: message.index },
          ]
        : []),
    ],
    ...(last ? { auditOfLast: auditOf(run, left.audit, last, run.env.now()) } : undefined),
    applied: [n],
    run: { firstIndex: message.index },
    checkpoint: 'user-input',
  }
}
