import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Tab } from '../crash/browser.ts'
import type { World } from '../crash/world/world.ts'
import type { BareBrowser, Engine } from './engine.ts'
import { startHub } from './hub.ts'

const database = 'crash'
const patience = 30_000

/** An engine's bare browser, as the crash suite needs one: on a profile on disk, which outlives its deaths. */
export async function startBrowser(engine: Engine, world: World): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), 'turnloop-engines-'))
  const hub = await startHub()
  let browser: BareBrowser | undefined

  const start = async () => {
    const connected = hub.connected(patience)
    connected.catch(() => {}) // it may be late before anybody waits for it
    browser = await engine.start(profile, hub.url)
    try {
      await connected
    } catch (error) {
      throw new Error(`${engine.name} did not start:\n${browser.output.join('\n')}`, { cause: error })
    }
  }
  const kill = async () => {
    await browser?.kill()
    await start()
  }
  const close = async () => {
    await browser?.kill()
    await hub.end()
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  }

  const open = async (): Promise<Tab> => {
    const { id, url } = world.address(database)
    await hub.open(id, url)
    const link = await world.until(() => world.page(id), patience)
    if (!link) throw new Error(`The page ${id} did not connect:\n${browser?.output.join('\n')}`)
    const gone = async () => {
      if (!(await world.until(() => link.gone, patience))) throw new Error(`The page ${id} outlives its end`)
    }
    return {
      link,
      // All pages crash, the hub too: then nobody is left to open another, and the browser starts anew.
      crash: async () => {
        await browser?.crashPages()
        await kill()
        await gone()
      },
      reload: () => Promise.reject(new Error('No scenario of the engines reloads')),
      close: async () => {
        await hub.close(id)
        await gone()
      },
    }
  }

  try {
    await start()
  } catch (error) {
    await close()
    throw error
  }
  return { name: engine.name, open, kill, close }
}
