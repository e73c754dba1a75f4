// #region worker
// src/main.ts
import { connect } from 'turnloop'
import type { runtime } from './agent.ts'
import workerUrl from './agent.worker.ts?worker&url'

const policy = window.trustedTypes?.createPolicy('agent-worker', {
  createScriptURL: (url) => {
    if (url !== workerUrl) throw new TypeError(`Not the address of this page's worker: ${url}`)
    return url
  },
})

const agent = connect<typeof runtime>(
  () => new Worker((policy?.createScriptURL(workerUrl) ?? workerUrl) as string, { type: 'module' }),
)
// #endregion

const { text } = await agent.session().send('What is 2 + 3?').result
document.querySelector('output')?.append(text)
