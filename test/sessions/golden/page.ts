import { indexedDbStore } from 'turnloop/runtime'
import { type Dump, dump } from './dump.ts'
import { halfDelete, playSessions } from './sessions.ts'

/** What `make.ts` asks of the page. */
export interface GoldenPage {
  make(): Promise<Dump>
}

const name = 'golden'
const page: GoldenPage = {
  async make() {
    let time = Date.UTC(2026, 10, 1)
    const now = () => (time += 1000)
    const store = indexedDbStore({ name, now })
    await playSessions(store, now)
    await halfDelete(store)
    return dump(name)
  },
}
Object.assign(globalThis, { golden: page })
