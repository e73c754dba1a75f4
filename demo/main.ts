import type { AppOf, Session } from 'turnloop'
import { Composer } from './composer.ts'
import { agent, killWorker } from './connection.ts'
import { Conversation, isWorking } from './conversation.ts'
import { byId, element } from './dom.ts'
import { Drawer } from './drawer.ts'
import { Inspector } from './inspector.ts'
import { ModelPicker, proxiedModel } from './models.ts'
import { SessionsList } from './sessions-list.ts'
import { starterButtons } from './starters.ts'

const sessions = agent.sessions.view({ limit: 200 })
const conversation = new Conversation(byId('log'), byId<HTMLButtonElement>('latest'))
const composer = new Composer(send, () => void session.stop())
const models = new ModelPicker(byId<HTMLSelectElement>('model'), (key) => agent.setCredentials(key))
const list = new SessionsList(byId('session-list'), (id) => void remove(id))
const inspector = new Inspector()
const drawer = new Drawer()

// ---------------------------------------------------------------- the session, named by the address's hash

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
  composer.open(session.id)
  inspector.open(session)
  leave = session.view.subscribe(renderSession)
  renderSession()
  renderSessions()
}

function startNew(): void {
  // an entry of its own in the tab's history: Back leads to the session before
  history.pushState(null, '', `#${encodeURIComponent(agent.session().id)}`)
  open(idInAddress())
  drawer.close()
  composer.focus()
}

function send(text: string): void {
  const { id } = session
  const run = session.send(text, { model: models.chosen }).detach()
  conversation.follow()
  run.result.catch((error: { code?: string }) => {
    // refused before it was stored: the text is the user's
    if (error.code === 'invalid-input' || error.code === 'unknown-model') composer.restore(id, text)
  })
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
  conversation.render(snapshot)
  composer.render(isWorking(snapshot) || snapshot.run?.phase === 'waiting')
}

function renderSessions(): void {
  list.render(sessions.getSnapshot(), session.id)
}

function renderWorker(): void {
  const { worker } = agent.info.getSnapshot()
  const status = byId('worker')
  status.dataset.state = worker
  status.textContent = { starting: 'Worker starts', ready: 'Worker runs', lost: 'Worker is gone' }[worker]
}

sessions.subscribe(renderSessions)
agent.info.subscribe(renderWorker)
renderWorker()

// ---------------------------------------------------------------- buttons

byId('new-session').addEventListener('click', startNew)
byId('kill-worker').addEventListener('click', killWorker)
byId('second-tab').addEventListener('click', () => window.open(location.href, '_blank', 'noopener'))
byId('starters').append(...starterButtons(send))
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
