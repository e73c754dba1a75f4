import { promisifyRequest } from 'idb-keyval'
import type { AgentRuntime, OpenRun, Session, SessionSnapshot, View } from 'turnloop'
import { isDurable } from '../../../src/events/kinds.ts'
import type { SpendRecord } from '../../../src/sessions/records.ts'
import type { Command, Dump, Glance } from '../world/commands.ts'
import { canonical, type HeardEvent } from '../world/ledger.ts'
import { database, report } from './report.ts'
import { type App, leave, watch } from './watch.ts'

/** What the page can be told to do. */
export function commandsOf(agent: AgentRuntime<App>, killWorker: () => Promise<void>) {
  const { approvals, runs } = agent

  const answer = async ({ approval: id, answer }: Extract<Command, { command: 'answer' }>) => {
    const approval = approvals.getSnapshot().find((open) => open.id === id)
    if (!approval) throw new Error(`unknown-approval: the page shows no ${id}`)
    await approvals.answer(approval, answer as never)
  }

  return (command: Command): unknown => {
    switch (command.command) {
      case 'watch':
        watch(agent, command.session, command.agent)
        return
      case 'leave':
        return leave(command.session)
      case 'send':
      case 'edit':
      case 'open':
      case 'regenerate':
        return send(agent, command)
      case 'step':
        void watch(agent, command.session, command.agent)
          .session.step(command.input)
          .catch(() => {})
        return
      case 'network':
        return setNetwork(command.online)
      case 'spent':
        return spent()
      case 'next-step':
        void agent
          .session(command.session)
          .step()
          .catch(() => {})
        return
      case 'close':
        void (runs.get(command.run) as OpenRun<App>).close().catch(() => {})
        return
      case 'glance':
        return agent.session(command.session).view.ready.then(glanceOf)
      case 'dump':
        return dump(agent, command)
      case 'answer':
        return answer(command)
      case 'resume':
        runs.resume(command.run).detach()
        return
      case 'stop':
        return agent.session(command.session).stop({ after: command.after })
      case 'abort':
        return agent.session(command.session).abort()
      case 'steer':
        return runs.get(command.run).steer(command.input)
      case 'output': {
        const { session, call: toolCallId, name } = command
        return agent.session(session).addToolOutput({ tool: 'form', toolCallId, output: { done: name } })
      }
      case 'take-over':
        return watch(agent, command.session).session.takeOver()
      case 'steal':
        return steal(`turnloop:${database}:${command.session}`)
      case 'kill-worker':
        return killWorker()
      case 'diagnose':
        return diagnose(agent)
    }
  }
}

type Sent = Extract<Command, { command: 'send' | 'edit' | 'open' | 'step' | 'regenerate' }>

/** The handle is kept, and how it settles is told. */
async function send(agent: AgentRuntime<App>, command: Sent) {
  const { session: id, input, agent: name, before, requestId } = command
  const { session, inputs } = watch(agent, id, name)
  const begin = async () => {
    if (command.command === 'open') return session.open({ input }).detach()
    if (command.command === 'regenerate') return session.regenerate().detach()
    return session
      .send(input, {
        ...(name && { agent: name }),
        ...(requestId !== undefined && { clientRequestId: requestId }),
        ...(before !== undefined && { replaces: await idOf(session, before) }),
      })
      .detach()
  }
  const run = await begin()
  inputs.set(run.runId, input)
  const settled = (status: string, text?: string) =>
    report({ fact: 'settled', session: id, runId: run.runId, status, ...(text !== undefined && { text }) })
  run.result.then(
    ({ status, text }) => settled(status, text),
    (error) => settled(error.code ?? error.name),
  )
  return run.runId
}

/** The message with a text; it may be hidden already, by who died before he could tell. */
async function idOf(session: Session<App>, text: string): Promise<string> {
  const { messages } = await session.view.ready
  return messages.find(({ parts }) => parts.some((part) => part.type === 'text' && part.text === text))?.id ?? 'gone'
}

/** What a person would look at where nothing goes on any more. */
async function diagnose(agent: AgentRuntime<App>) {
  const { held = [], pending = [] } = await navigator.locks.query()
  const names = (locks: LockInfo[]) => locks.map(({ name, mode }) => `${name} ${mode}`)
  return { worker: agent.info.getSnapshot().worker, held: names(held), pending: names(pending) }
}

/** What the page says of the network to its worker, and to those that follow it. */
function setNetwork(online: boolean) {
  Object.defineProperty(navigator, 'onLine', { configurable: true, get: () => online })
  dispatchEvent(new Event(online ? 'online' : 'offline'))
}

/** Tokens of all sessions, in and out, as they are booked by day. */
async function spent(): Promise<number> {
  if (!(await indexedDB.databases()).some(({ name }) => name === database)) return 0
  const db = await promisifyRequest(indexedDB.open(database))
  try {
    const store = db.transaction('turnloop').objectStore('turnloop')
    const records = await promisifyRequest<SpendRecord[]>(store.getAll(IDBKeyRange.bound(['spend'], ['spend', []])))
    return records.reduce((sum, { usage }) => sum + usage.inputTokens + usage.outputTokens, 0)
  } finally {
    db.close()
  }
}

/** As any script of the page can: takes the lock away from whoever has it, and gives it free again. */
const steal = (lock: string) => navigator.locks.request(lock, { steal: true }, async () => {})

/** Everything durable of a session up to `head`, and its view, as who comes anew is told. */
async function dump(
  agent: AgentRuntime<App>,
  { session: id, head }: Extract<Command, { command: 'dump' }>,
): Promise<Dump> {
  const session = agent.session(id)
  const events: HeardEvent[] = []
  await new Promise<void>((arrived) => {
    const listener = session.on(
      'any',
      (event) => {
        if (!isDurable(event.kind)) return
        events.push(event as unknown as HeardEvent)
        if (event.seq >= head) end()
      },
      { since: 0 },
    )
    const end = () => {
      clearTimeout(timer)
      listener.abort()
      arrived()
    }
    const timer = setTimeout(end, 5000)
  })
  const snapshot = glanceOf(await session.view.ready)
  const live = await viewOnce(watch(agent, id).session.view, (glance) => canonical(glance) === canonical(snapshot))
  const list = await agent.sessions.list({ limit: 200 })
  return {
    head,
    events,
    snapshot,
    live,
    status: list.find((info) => info.id === id)?.status,
  }
}

/** The view once it is `so`, as it changes at most once per frame; as it is after two seconds. */
function viewOnce(view: View<SessionSnapshot<App>>, so: (glance: Glance) => boolean): Promise<Glance> {
  return new Promise((resolve) => {
    const look = () => {
      if (so(glanceOf(view.getSnapshot()))) end()
    }
    const end = () => {
      clearTimeout(timer)
      unsubscribe()
      resolve(glanceOf(view.getSnapshot()))
    }
    const timer = setTimeout(end, 2000)
    const unsubscribe = view.subscribe(look)
    look()
  })
}

function glanceOf(snapshot: SessionSnapshot<App>): Glance {
  const { status, run, queue, messages, approvals, error } = snapshot
  return {
    status,
    ...(run && { phase: run.phase, runId: run.runId }),
    queue: queue.map(({ text }) => text),
    messages: messages.map(({ id, role, parts, metadata }) => ({
      id,
      role,
      text: parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join(''),
      ...(metadata?.status && { status: metadata.status }),
    })),
    approvals: approvals.length,
    ...(error && { error: `${error.code}: ${error.message}` }),
  }
}
