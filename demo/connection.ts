import { connect } from 'turnloop'
import type { runtime } from './agent.ts'
import workerUrl from './agent.worker.ts?worker&url'
import { setPageColors } from './page-colors.ts'

// Under Trusted Types a worker's address must come from a policy. This one knows a single address.
const policy = window.trustedTypes?.createPolicy('turnloop-demo-worker', {
  createScriptURL(url) {
    if (url !== workerUrl) throw new TypeError(`Not the address of this page's worker: ${url}`)
    return url
  },
})

let worker: Worker | undefined

/** The agent in the worker. It starts when something is asked of it, and again after the worker was killed. */
export const agent = connect<typeof runtime>(
  () => {
    const url = (policy?.createScriptURL(workerUrl) ?? workerUrl) as string
    worker = new Worker(url, { type: 'module', name: 'turnloop demo' })
    return worker
  },
  { pageTools: { set_page_colors: setPageColors } },
)

/** Ends the worker at once, without a chance to say goodbye, as a crash would. */
export function killWorker(): void {
  worker?.terminate()
}
