// What the page implements and answers is typed from the worker's tools; types only cross.
import { connect } from 'turnloop'
import type { Runtime } from './app.ts'
import { same } from './same.ts'

declare const worker: () => Worker

export const runtime = connect<Runtime>(worker, {
  credentials: { token: 'short-lived' },
  pageTools: {
    highlight: ({ selector }, { signal, toolCallId, sessionId, runId }) => {
      same<typeof selector, string>()
      same<typeof toolCallId | typeof sessionId | typeof runId, string>()
      const found = document.querySelectorAll(selector)
      signal.addEventListener('abort', () => found.forEach((element) => void element.classList.remove('highlight')))
      return { found: found.length }
    },
    pickDate: async ({ from }) => ({ date: from }),
  },
})
same<typeof runtime, Runtime>()
connect<Runtime>(worker, { pageTools: {} })
connect<Runtime>(worker)
connect<Runtime>(new MessageChannel().port1)

const session = runtime.session('trip')
void session.addToolOutput({ tool: 'pickDate', toolCallId: 'a', output: { date: '2026-11-20' } })
void session.addToolOutput({ tool: 'highlight', toolCallId: 'a', errorText: 'Nothing there' })

// @ts-expect-error forecast runs in the worker
connect<Runtime>(worker, { pageTools: { forecast: () => ({ celsius: 1 }) } })
// @ts-expect-error no such tool
connect<Runtime>(worker, { pageTools: { hilight: () => ({ found: 1 }) } })
// @ts-expect-error wrong output
connect<Runtime>(worker, { pageTools: { highlight: () => ({ found: 'x' }) } })
// @ts-expect-error wrong output, later
connect<Runtime>(worker, { pageTools: { highlight: async () => ({}) } })
// @ts-expect-error wrong input
connect<Runtime>(worker, { pageTools: { highlight: ({ city }) => ({ found: city }) } })
// @ts-expect-error an address is no worker: the caller makes it, for the CSP
connect<Runtime>('./agent.worker.ts')

// Of any tool, where a step handed its calls out.
void session.addToolOutput({ tool: 'forecast', toolCallId: 'a', output: { celsius: 1 } })
// @ts-expect-error no such tool
void session.addToolOutput({ tool: 'forcast', toolCallId: 'a', output: { celsius: 1 } })
// @ts-expect-error the output of another tool
void session.addToolOutput({ tool: 'pickDate', toolCallId: 'a', output: { found: 1 } })
// @ts-expect-error neither output nor error
void session.addToolOutput({ tool: 'pickDate', toolCallId: 'a' })
// @ts-expect-error not the name of one
void session.addToolOutput({ tool: 'pickDate', output: { date: '' } })
