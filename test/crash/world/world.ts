import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { callCount, orderOf } from '../plans.ts'
import type { Fact, ShownApprovals } from './fact.ts'
import { Ledger } from './ledger.ts'
import { Model } from './model.ts'
import { openStream, PageLink } from './pages.ts'
import { buildSite, type Site } from './site.ts'

/** Pages that can have a stream of commands open at once: a browser allows six connections to one address. */
const wires = 12

/**
 * The world around the browser, on 127.0.0.1: serves the page, answers as the model, counts what tools start and do, and
 * keeps what pages were told. What is here survives every death.
 */
export class World {
  readonly #site: Site
  readonly #servers: Server[] = []
  readonly #ledgers = new Map<string, Ledger>()
  readonly #pages = new Map<string, PageLink>()
  /** What pages show. One may say so before it takes commands. */
  readonly #shown = new Map<string, ShownApprovals>()
  readonly #watchers = new Set<() => void>()
  readonly #model = new Model(this)
  /** Errors that pages reported and that belong to no session. */
  readonly faults: string[] = []
  #opened = 0

  private constructor(site: Site) {
    this.#site = site
  }

  static async start(): Promise<World> {
    const world = new World(await buildSite())
    for (let wire = 0; wire < wires; wire++) {
      const server = createServer((request, response) => {
        world.#answer(request, response).catch((error: unknown) => {
          world.faults.push(
            `the world could not answer ${request.url}: ${error instanceof Error ? error.stack : error}`,
          )
          response.destroy()
          world.changed()
        })
      })
      server.keepAliveTimeout = 60_000
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
      world.#servers.push(server)
    }
    return world
  }

  async close(): Promise<void> {
    for (const server of this.#servers) {
      server.close()
      server.closeAllConnections()
    }
    await this.#site.close()
  }

  get origin(): string {
    return originOf(this.#servers[0] as Server)
  }

  /** The address of a new page, and its id. */
  address(database: string): { readonly id: string; readonly url: string } {
    const n = this.#opened++
    const id = `page-${n}`
    const wire = originOf(this.#servers[1 + (n % (wires - 1))] as Server)
    return { id, url: `${this.origin}/?${new URLSearchParams({ page: id, wire, database })}` }
  }

  ledger(session: string): Ledger {
    let ledger = this.#ledgers.get(session)
    if (!ledger) {
      ledger = new Ledger(session)
      this.#ledgers.set(session, ledger)
    }
    return ledger
  }

  /** Drops what is known of a session that is through. */
  forget(session: string): void {
    this.#ledgers.delete(session)
  }

  page(id: string): PageLink | undefined {
    return this.#pages.get(id)
  }

  /** Waits until `look` gives something; undefined when that takes too long. */
  until<T>(look: () => T | undefined | false, milliseconds: number): Promise<T | undefined> {
    return new Promise((resolve) => {
      const settle = (value: T | undefined) => {
        clearTimeout(timer)
        this.#watchers.delete(check)
        resolve(value)
      }
      const check = () => {
        const value = look()
        if (value !== undefined && value !== false) settle(value)
      }
      const timer = setTimeout(() => settle(undefined), milliseconds)
      this.#watchers.add(check)
      check()
    })
  }

  changed(): void {
    for (const check of [...this.#watchers]) check()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1')
    const text = (name: string) => searchParams.get(name) ?? ''
    response.setHeader('access-control-allow-origin', '*')
    const send = (value: unknown = {}) => {
      response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' })
      response.end(JSON.stringify(value))
    }
    if (request.method === 'GET' && pathname === '/commands') return this.#openPage(text('page'), request, response)
    if (request.method === 'GET' && pathname === '/armed') return send(this.ledger(text('session')).armed ?? null)
    if (request.method === 'GET') return this.#serveFile(pathname, response)

    const body = await readBody(request)
    if (pathname === '/model/v1/responses') {
      // A browser repeats a request whose kept connection dies before headers: that would count twice.
      response.shouldKeepAlive = false
      const answered = this.#model.answer(request, response, body)
      this.changed()
      return answered
    }
    const ledger = this.ledger(text('session'))
    if (pathname === '/facts') this.#hear(text('page'), JSON.parse(body) as Fact)
    else if (pathname === '/answers') this.#pages.get(text('page'))?.answered(JSON.parse(body))
    else if (pathname === '/reached') send({ stop: ledger.reach(text('point')) })
    else if (pathname === '/tool/start') this.#start(ledger, searchParams, response)
    else if (pathname === '/tool/effect') this.#effect(ledger, searchParams, response)
    else if (pathname === '/claimed') {
      ledger.owner = { page: text('page'), life: text('life'), epoch: Number(text('epoch')) }
    } else if (pathname === '/released') {
      if (ledger.owner?.epoch === Number(text('epoch'))) ledger.owner = undefined
    } else if (pathname === '/committed') {
      ledger.commits.push({ seq: Number(text('seq')), epoch: Number(text('epoch')), life: text('life') })
    } else throw new Error(`Unknown: ${request.method} ${pathname}`)
    if (!response.writableEnded) send()
    this.changed()
  }

  #openPage(id: string, request: IncomingMessage, response: ServerResponse) {
    openStream(request, response)
    const page = new PageLink(id, response)
    page.approvals = this.#shown.get(id)?.approvals ?? []
    this.#pages.set(id, page)
    response.on('close', () => {
      page.end()
      if (this.#pages.get(id) === page) this.#pages.delete(id)
      this.changed()
    })
    this.changed()
  }

  async #serveFile(pathname: string, response: ServerResponse) {
    const found = await this.#site.file(pathname)
    response.writeHead(found ? 200 : 404, { 'content-type': found?.type ?? 'text/plain' })
    response.end(found?.bytes ?? 'Not found')
  }

  #hear(page: string, fact: Fact) {
    switch (fact.fact) {
      case 'event':
        return this.ledger(fact.session).hear(fact.event)
      case 'queued':
        return this.ledger(fact.session).queue(fact.input)
      case 'withdrawn':
        return this.ledger(fact.session).withdraw(fact.input)
      case 'refused': {
        const order = orderOf(fact.input)
        if (order) this.ledger(fact.session).refused.set(order.input, fact.code)
        return
      }
      case 'released':
        this.ledger(fact.session).released++
        return
      case 'settled':
        return this.ledger(fact.session).settled.set(fact.runId, fact)
      case 'approvals':
        return this.#show(page, fact)
      case 'problem':
        if (fact.session === undefined) this.faults.push(`${page}: ${fact.message}`)
        else this.ledger(fact.session).problems.push(`${page}: ${fact.message}`)
    }
  }

  #show(id: string, shown: ShownApprovals) {
    if ((this.#shown.get(id)?.nth ?? -1) > shown.nth) return
    this.#shown.set(id, shown)
    const page = this.#pages.get(id)
    if (page) page.approvals = shown.approvals
  }

  #start(ledger: Ledger, parameters: URLSearchParams, response: ServerResponse) {
    response.shouldKeepAlive = false
    const [tool = '', name = '', call = '', key = ''] = ['tool', 'name', 'call', 'key'].map(
      (field) => parameters.get(field) ?? '',
    )
    ledger.starts.push({ tool, name, call, key, at: Date.now() })
    const [, , turn, index] = name.split('/').map(Number)
    if (!(Number(turn) >= 0 && Number(index) < callCount('mixed')))
      ledger.problems.push(`a tool got another input: ${name}`)
  }

  #effect(ledger: Ledger, parameters: URLSearchParams, response: ServerResponse) {
    response.shouldKeepAlive = false
    const key = parameters.get('key') ?? ''
    ledger.effects.set(key, (ledger.effects.get(key) ?? 0) + 1)
  }
}

const originOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
