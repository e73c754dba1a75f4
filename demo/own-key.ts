import type { OwnKey } from './agent.ts'
import { byId } from './dom.ts'

const reachable =
  'This page may connect to https://api.openai.com and to this computer only. For another endpoint start the demo with OPENAI_BASE_URL and OPENAI_API_KEY.'

/** Asks for the key in a dialog; nothing where the user cancels. */
export function askForKey(): Promise<OwnKey | undefined> {
  const dialog = byId<HTMLDialogElement>('own-key')
  const agreed = byId<HTMLInputElement>('own-key-agreed')
  const fields = byId<HTMLFieldSetElement>('own-key-fields')
  const use = byId<HTMLButtonElement>('own-key-use')
  const key = byId<HTMLInputElement>('own-key-value')
  const endpoint = byId<HTMLInputElement>('own-key-endpoint')
  const model = byId<HTMLInputElement>('own-key-model')
  const problem = byId('own-key-problem')
  const done = new AbortController()
  const { signal } = done
  let answer: OwnKey | undefined

  agreed.checked = false
  fields.disabled = use.disabled = true
  problem.hidden = true
  agreed.addEventListener(
    'change',
    () => {
      fields.disabled = use.disabled = !agreed.checked
      if (agreed.checked) key.focus()
    },
    { signal },
  )
  byId('own-key-cancel').addEventListener('click', () => dialog.close(), { signal })
  dialog.addEventListener(
    'submit',
    (event) => {
      event.preventDefault()
      const baseURL = endpoint.value.trim().replace(/\/+$/, '')
      problem.textContent = mayConnect(baseURL) ? '' : reachable
      problem.hidden = !problem.textContent
      if (problem.textContent) return endpoint.focus()
      answer = { apiKey: key.value.trim(), baseURL, modelId: model.value.trim() }
      key.value = ''
      dialog.close()
    },
    { signal },
  )
  return new Promise((resolve) => {
    dialog.addEventListener(
      'close',
      () => {
        done.abort()
        key.value = ''
        resolve(answer)
      },
      { signal },
    )
    dialog.showModal()
  })
}

/** What the worker's CSP lets through; said here, as a blocked request looks like a lost connection. */
function mayConnect(address: string): boolean {
  const url = URL.parse(address)
  if (url?.protocol === 'https:') return url.host === 'api.openai.com'
  return url?.protocol === 'http:' && (url.hostname === 'localhost' || url.hostname === '127.0.0.1')
}
