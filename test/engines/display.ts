import { once } from 'node:events'
import { findXvfb } from '../../scripts/engines.ts'
import { ProcessGroup } from './process-group.ts'
import { within } from './within.ts'

export interface Display {
  /** For `DISPLAY`. */
  readonly name: string
  close(): Promise<void>
}

/** A display of its own on no screen, with a number that is free. */
export async function openDisplay(): Promise<Display> {
  const args = ['-displayfd', '3', '-screen', '0', '1280x900x24', '-nolisten', 'tcp']
  const server = new ProcessGroup(findXvfb() ?? 'Xvfb', args)
  try {
    const ready = Promise.race([once(server.side, 'data'), server.ended.then(() => undefined)])
    const number = (await within(15_000, 'Starting Xvfb', ready))?.[0]
    if (number === undefined) throw new Error(`Xvfb ended at once:\n${server.output.join('\n')}`)
    return { name: `:${String(number).trim()}`, close: () => server.kill() }
  } catch (error) {
    await server.kill()
    throw error
  }
}
