import type { AgentRuntime, AppOf, ApprovalDesk, Input, Session } from 'turnloop'
import { ApprovalDock } from './approval-dock.ts'
import { Composer, type WhenBusy } from './composer.ts'
import { agent, killWorker } from './connection.ts'
import { Conversation, type Decisions } from './conversation.ts'
import { byId, element } from './dom.ts'
import { Drawer } from './drawer.ts'
import { Helpers } from './helpers.ts'
import { Inspector } from './inspector.ts'
import { LimitsForm } from './limits-form.ts'
import { type ModelName, ModelPicker, proxiedModel } from './models.ts'
import { Panel } from './panel.ts'
import { PermissionsTab } from './permissions-tab.ts'
import { ProblemBar } from './problem-bar.ts'
import { RunTab } from './run-tab.ts'
import { filesOf, ownFiles } from './session-files.ts'
import { SessionMenu } from './session-menu.ts'
import { exportSession, onImport } from './session-transfer.ts'
import { SessionsList } from './sessions-list.ts'
import { starterButtons } from './starters.ts'
import { StoppedRun } from './stopped-run.ts'
import { StorageLine } from './storage-line.ts'
import { UsageLine } from './usage-line.ts'

const sessions = agent.sessions.view({ limit: 200 })
// the questions of any app: the cards know no tool
const approvals: ApprovalDesk = agent.approvals
const decisions: Decisions = {
  resume: (runId) => void agent.runs.resume(runId),
  takeOver: () => void session.takeOver(),
  answer: (approval, answer) => approvals.answer(approval, answer),
  async edit(message, text) {
    // the message goes, and the focus with it
    composer.focus()
    // its files stay
    const files = await problems.watch('The message was not edited.', filesOf(session, message.parts))
    if (files) send({ text, files }, { replaces: message.id })
  },
  fork: (messageId) => void fork(messageId),
  regenerate(messageId) {
    const limits = limitsForm.chosen
    limitsForm.sent(session.regenerate(messageId, { model: models.chosen, limits }).detach().runId, limits)
    conversation.follow()
    composer.focus()
  },
  async withdraw({ inputId, text, files = [] }) {
    const { id } = session
    const kept = await filesOf(session, files).catch(() => [])
    // what was said is the user's again
    if (await session.withdraw(inputId)) composer.restore(id, { text, files: ownFiles(kept) })
    composer.focus()
  },
}
const problems = new ProblemBar()
const conversation = new Conversation(byId('log'), byId<HTMLButtonElement>('latest'), decisions, renderSession)
const stoppedRun = new StoppedRun(agent.runs, renderSession)
const composer = new Composer(
  (draft, whenBusy) => send(draft, { whenBusy }),
  () => void session.stop(),
)
const dock = new ApprovalDock(byId('approvals'), {
  answer: decisions.answer,
  mayTakeFocus: () => (focused() === 'message' ? composer.isEmpty : ['BODY', 'log'].includes(focused())),
  focus: () => composer.focus(),
})
const helpers = new Helpers(agent as unknown as AgentRuntime)
const models = new ModelPicker(
  byId<HTMLSelectElement>('model'),
  (key) => agent.setCredentials(key),
  (name) => void chooseModel(name),
)
const limitsForm = new LimitsForm(() => runTab.changed())
const runTab = new RunTab(limitsForm)
const permissionsTab = new PermissionsTab(agent.runs.audit)
const usageLine = new UsageLine(() => panel.open('run'))
const list = new SessionsList(byId('session-list'), (id) => void remove(id))
const inspector = new Inspector()
const panel = new Panel((tab) => {
  inspector.show(tab === 'events')
  runTab.show(tab === 'run')
  permissionsTab.show(tab === 'permissions')
})
const drawer = new Drawer()
const menu = new SessionMenu({
  'export-session': () => void problems.watch('The session was not exported.', exportSession(agent, session)),
  'fork-session': () => void fork(),
})
const storageLine = new StorageLine(() => agent.persist())

// ---------------------------------------------------------------- the session, named by the address's hash

const focused = () => document.activeElement?.id || document.activeElement?.tagName || 'BODY'

const idInAddress = () => {
  try {
    return decodeURIComponent(location.hash.slice(1))
  } catch {
    return ''
  }
}

let session: Session<AppOf<typeof agent>> = agent.session(idInAddress() || undefined)
let leave = () => {}

function open(id: string | undefined): void {
  leave()
  session = agent.session(id)
  const hash = `#${encodeURIComponent(session.id)}`
  if (location.hash !== hash) history.replaceState(null, '', hash)
  conversation.open(session)
  problems.clear()
  dock.open()
  helpers.open()
  composer.open(session.id)
  models.open()
  inspector.open(session)
  runTab.open(session)
  permissionsTab.open(session)
  leave = session.view.subscribe(renderSession)
  renderSession()
  renderSessions()
}

/** With an entry of its own in the tab's history: Back leads to the session before. */
function goTo(id: string): void {
  history.pushState(null, '', `#${encodeURIComponent(id)}`)
  open(id)
  drawer.close()
  composer.focus()
}

async function fork(at?: string): Promise<void> {
  const made = await problems.watch('The session was not forked.', session.fork(at === undefined ? {} : { at }))
  if (made) goTo(made.id)
}

const inputOf = ({ text, files }: { text: string; files: readonly (File | URL)[] }): Input =>
  files.length > 0 ? { text, files } : text

function send(said: Parameters<typeof inputOf>[0], options: { whenBusy?: WhenBusy; replaces?: string } = {}): void {
  const { id } = session
  const limits = limitsForm.chosen
  const run = session.send(inputOf(said), { model: models.chosen, limits, ...options }).detach()
  limitsForm.sent(run.runId, limits)
  conversation.follow()
  run.result.catch((error: { code?: string }) => {
    // refused before it was stored: it is the user's
    if (!['invalid-input', 'file-too-large', 'unknown-model'].includes(error.code ?? '')) return
    composer.restore(id, { text: said.text, files: ownFiles(said.files) })
  })
}

/** For the next turn, where the session has begun; a new one is sent it with its first message. */
async function chooseModel(name: ModelName): Promise<void> {
  const { messages, run } = session.view.getSnapshot()
  if (messages.length > 0 || run) await session.setModel(name)
}

async function remove(id: string): Promise<void> {
  await agent.session(id).delete()
  if (id === session.id) open(undefined)
}

// ---------------------------------------------------------------- views

function renderSession(): void {
  const snapshot = session.view.getSnapshot()
  const title = snapshot.title ?? 'New session'
  byId('title').textContent = title
  document.title = snapshot.title ? `${title} · turnloop demo` : 'turnloop demo'
  byId('welcome').hidden =
    !snapshot.loaded || snapshot.messages.length > 0 || snapshot.queue.length > 0 || snapshot.status !== 'ready'
  conversation.render(snapshot, stoppedRun.of(session, snapshot))
  composer.render(snapshot.run !== undefined && snapshot.run.phase !== 'interrupted')
  dock.render(snapshot.approvals)
  helpers.render(snapshot)
  menu.enable(snapshot.messages.length > 0)
  models.render(snapshot.model)
  usageLine.render(snapshot)
  runTab.changed()
}

function renderSessions(): void {
  const listed = sessions.getSnapshot()
  list.render(listed, session.id)
  byId('menu').classList.toggle(
    'asks',
    listed.some(({ id, approvals }) => approvals > 0 && id !== session.id),
  )
}

const offline =
  'You are offline. An answer that needs the network waits for it, and goes on by itself; so does what you send meanwhile.'

function renderInfo(): void {
  const { worker, storage, online } = agent.info.getSnapshot()
  storageLine.render(storage)
  byId('offline').textContent = online === false ? offline : ''
  const status = byId('worker')
  status.dataset.state = worker
  status.textContent = { starting: 'Worker starts', ready: 'Worker runs', lost: 'Worker is gone' }[worker]
}

sessions.subscribe(renderSessions)
agent.info.subscribe(renderInfo)
renderInfo()

// ---------------------------------------------------------------- buttons

byId('new-session').addEventListener('click', () => goTo(agent.session().id))
onImport(async (document) => {
  drawer.close()
  const made = await problems.watch('Nothing was imported.', agent.sessions.import(document))
  if (made) goTo(made.id)
})
byId('kill-worker').addEventListener('click', killWorker)
byId('second-tab').addEventListener('click', () => window.open(location.href, '_blank', 'noopener'))
byId('starters').append(...starterButtons((text) => send({ text, files: [] })))
byId('session-list').addEventListener('click', () => drawer.close())
addEventListener('hashchange', () => {
  if (idInAddress() !== session.id) open(idInAddress() || undefined)
})

open(session.id)

const model = await proxiedModel()
if (model) {
  models.offer(model)
  const use = element('button', { className: 'link', type: 'button' }, `Use ${model}`)
  use.addEventListener('click', () => {
    void models.choose('proxied')
    composer.focus()
  })
  byId('offer').append('This server offers a real model too. ', use)
  byId('offer').hidden = false
}
