import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { within } from './within.ts'

// Nobody steers a bare browser. Its first page is this one: it opens and closes tabs as it is told.

const page = `<!doctype html>
<meta charset="utf-8">
<title>Hub</title>
<script>
  const tabs = new Map()
  const commands = new EventSource('/commands')
  commands.onmessage = ({ data }) => {
    const { n, command, id, url } = JSON.parse(data)
    let done = true
    if (command === 'open') {
      const tab = open(url, '_blank')
      if (tab) tabs.set(id, tab)
      done = tab !== null
    } else {
      tabs.get(id).close()
      tabs.delete(id)
    }
    navigator.sendBeacon('/done?n=' + n + '&done=' + done)
  }
</script>
`

export interface Hub {
  readonly url: string
  /** Waits until a browser shows the hub; the one of an earlier browser is forgotten. */
  connected(limit: number): Promise<void>
  open(id: string, url: string): Promise<void>
  /** Closes the tab as its user would. */
  close(id: string): Promise<void>
  end(): Promise<void>
}

export async function startHub(): Promise<Hub> {
  let stream: ServerResponse | undefined
  let connect = () => {}
  let n = 0
  const waiting = new Map<number, (done: boolean) => void>()

  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1')
    response.setHeader('cache-control', 'no-store')
    if (pathname === '/commands') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      stream = response
      connect()
    } else if (pathname === '/done') {
      waiting.get(Number(searchParams.get('n')))?.(searchParams.get('done') === 'true')
      response.end()
    } else if (pathname === '/') response.setHeader('content-type', 'text/html').end(page)
    else response.writeHead(404).end()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')

  async function tell(command: string, id: string, url?: string): Promise<void> {
    const number = ++n
    const done = new Promise<boolean>((resolve) => waiting.set(number, resolve))
    stream?.write(`data: ${JSON.stringify({ n: number, command, id, url })}\n\n`)
    const opened = await within(15_000, `Having the browser ${command} a tab`, done)
    waiting.delete(number)
    if (!opened) throw new Error(`The browser does not let a page ${command} a tab`)
  }

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async connected(limit) {
      stream = undefined
      await within(
        limit,
        'Starting the browser',
        new Promise<void>((resolve) => {
          connect = resolve
        }),
      )
    },
    open: (id, url) => tell('open', id, url),
    close: (id) => tell('close', id),
    end: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
