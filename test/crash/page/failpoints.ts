import { fetchWithoutUserAgent, type indexedDbStore } from 'turnloop/runtime'
import { orderOf } from '../plans.ts'
import { pass, tell } from './passing.ts'

type Store = ReturnType<typeof indexedDbStore>
type Change = Parameters<Store['commit']>[0]
type Draft = Parameters<Store['saveDraft']>[1]
type Said = Parameters<Store['say']>[2]

/** The store, with a point before and after every step that an owner or a page writes. */
export function failpoints(store: Store, life: { readonly page: string; readonly life: string }): Store {
  const own = {
    commit: async (change: Change) => {
      const { sessionId: session, epoch } = change
      return around(session, labelsOf(change), async () => {
        const committed = await store.commit(change)
        if (change.events.length > 0 && !committed.heldUp) {
          inform('/committed', { session, seq: String(committed.seq), epoch: String(epoch), life: life.life })
        }
        return committed
      })
    },
    say: (session: string, runId: string, said: Said) =>
      around(session, [sayLabel(said)], () => store.say(session, runId, said)),
    claim: async (session: string, options?: Parameters<Store['claim']>[1]) => {
      await pass(session, 'before:claim')
      const claim = await store.claim(session, options)
      if (!claim) return claim
      const epoch = String(claim.epoch)
      inform('/claimed', { session, epoch, ...life })
      await pass(session, 'after:claim')
      const release = () => {
        inform('/released', { session, epoch })
        claim.release()
      }
      return { ...claim, release }
    },
    saveDraft: (session: string, draft: Draft) => around(session, ['draft'], () => store.saveDraft(session, draft)),
  }
  return new Proxy(store, {
    get: (target, method: keyof Store) => {
      const value = target[method]
      if (typeof value !== 'function') return value
      return Object.hasOwn(own, method) ? own[method as keyof typeof own] : value.bind(target)
    },
  })
}

function sayLabel(said: Said): string {
  if (said.type === 'stop' && said.after === 'turn') return 'say-stop-after-turn'
  return `say-${said.type === 'answer' ? (words[said.answer.decision] ?? 'answer') : said.type}`
}

async function around<T>(session: string, labels: readonly string[], work: () => Promise<T>): Promise<T> {
  for (const label of labels) await pass(session, `before:${label}`)
  const result = await work()
  for (const label of labels) await pass(session, `after:${label}`)
  return result
}

interface StoredEvent {
  readonly kind: string
  readonly step?: string
  readonly resumed?: boolean
  readonly mode?: string
  readonly waitingFor?: string
  readonly answer?: { readonly decision: string; readonly input?: unknown }
}

const words: Readonly<Record<string, string>> = { 'allow-once': 'yes', 'allow-always': 'yes', deny: 'no' }
const questions: Readonly<Record<string, string>> = { budget: 'over-limit', 'doom-loop': 'doom-loop', policy: 'asked' }
const decisions: Readonly<Record<string, string>> = { extend: 'extended', 'allow-once': 'allowed' }
const verdicts: Readonly<Record<string, string>> = {
  'allow-once': 'permitted',
  'allow-always': 'granted',
  deny: 'refused',
}
const waits: Readonly<Record<string, string>> = { input: 'idle', offline: 'offline', approval: 'parked' }

/** What a question comes to, by its reason and its answer. */
function decisionLabel({ answer }: StoredEvent, reason: string | undefined): string {
  const { decision = '', input } = answer ?? {}
  if (reason !== 'policy') return decisions[decision] ?? 'decision'
  return input === undefined ? (verdicts[decision] ?? 'decision') : 'amended'
}

/** The steps that a commit writes, by name. */
function labelsOf({ events, calls = [], approvals = [], run }: Change): string[] {
  const labels = new Set<string>()
  for (const event of events as readonly StoredEvent[]) {
    const tools = calls.map(({ toolName }) => toolName)
    switch (event.kind) {
      case 'run-started':
        labels.add(event.resumed ? 'resumed' : 'run-started')
        break
      case 'user-message-committed':
        labels.add('user-input')
        break
      case 'assistant-message-committed':
        labels.add('answer')
        break
      case 'tool-message-committed':
        labels.add('after-tool-calls')
        break
      case 'checkpoint-saved':
        labels.add(event.step ?? '')
        break
      case 'tool-execution-started':
        for (const tool of tools) labels.add(`intent:${tool}`)
        break
      case 'tool-execution-finished':
        for (const tool of tools) labels.add(`result:${tool}`)
        break
      case 'run-completed':
        labels.add('end')
        break
      case 'run-stopped':
        labels.add('stopped')
        break
      case 'run-cancelled':
        labels.add('cancelled')
        break
      case 'input-delivered':
        if (event.mode === 'steer') labels.add('steered')
        break
      case 'approval-requested':
        for (const { reason } of approvals) labels.add(questions[reason] ?? 'question')
        break
      case 'approval-resolved':
        labels.add(decisionLabel(event, approvals[0]?.reason))
        break
      case 'history-rewound':
        labels.add(run?.request.regenerates === undefined ? 'rewound' : 'regenerated')
        break
      case 'model-switched':
        labels.add('switched')
        break
      case 'context-compacted':
        labels.add('compacted')
        break
      case 'delegation-started':
        labels.add('delegated')
        break
      case 'delegation-finished':
        labels.add('child-ended')
        break
      case 'run-waiting':
        if (run?.step) labels.add('between-steps')
        else labels.add(waits[event.waitingFor ?? ''] ?? 'waiting')
    }
  }
  return [...labels]
}

/** The provider's `fetch`, with points along the call: before it, at its head, at each chunk, and at its end. */
export const fetchWithFailpoints: typeof fetch = async (input, init) => {
  const session = sessionIn(init?.body)
  if (session === undefined) throw new Error('The request names no session')
  await pass(session, 'model:before-call')
  const response = await fetchWithoutUserAgent(input, init)
  // Said in words: a browser repeats a request by itself whose connection dies.
  if (response.headers.has('x-no-network')) throw new TypeError('Failed to fetch')
  await pass(session, response.ok ? 'model:head' : 'model:failed')
  const points = new TransformStream<Uint8Array, Uint8Array>({
    transform: async (chunk, controller) => {
      await pass(session, 'model:chunk')
      controller.enqueue(chunk)
    },
    flush: () => pass(session, 'model:end'),
  })
  const { status, headers } = response
  return new Response(response.body?.pipeThrough(points) ?? null, { status, headers })
}

function sessionIn(body: unknown): string | undefined {
  const { input } = JSON.parse(String(body)) as { input: { role?: string; content?: string | { text?: string }[] }[] }
  const texts = input
    .filter(({ role }) => role === 'user')
    .map(({ content = '' }) => (typeof content === 'string' ? content : content.map(({ text }) => text ?? '').join('')))
  return texts.map(orderOf).findLast((order) => order !== undefined)?.session
}

/** Told, and not waited for. */
const inform = (path: string, parameters: Record<string, string>) => void tell(path, parameters).catch(() => {})
