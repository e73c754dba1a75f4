import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'

export interface StartOptions {
  readonly env?: NodeJS.ProcessEnv
  /** What the process writes is kept, the last lines of it. Default: true. */
  readonly keepOutput?: boolean
}

const started = new Set<ProcessGroup>()

// Whatever ends this process, no browser of it stays behind.
process.once('exit', () => {
  for (const group of started) group.signal()
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))

/** A program and all processes that it starts, which die together: browsers are many processes. */
export class ProcessGroup {
  readonly #child: ChildProcess
  readonly #lines: string[] = []
  /** Settles when the program itself has ended. */
  readonly ended: Promise<void>
  #open = true

  constructor(command: string, args: readonly string[], { env, keepOutput = true }: StartOptions = {}) {
    const output = keepOutput ? 'pipe' : 'ignore'
    this.#child = spawn(command, args, {
      // a group of its own, led by the program
      detached: true,
      stdio: ['ignore', output, output, 'pipe'],
      ...(env && { env }),
    })
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (data: Buffer) => this.#keep(data))
    this.ended = new Promise((resolve) => {
      const end = () => {
        this.#open = false
        resolve()
      }
      this.#child.once('exit', end).once('error', (error) => {
        this.#keep(Buffer.from(error.message))
        end()
      })
    })
    started.add(this)
  }

  /** What it writes to the file descriptor 3. */
  get side(): Readable {
    return this.#child.stdio[3] as Readable
  }

  get running(): boolean {
    return this.#open
  }

  /** The last lines that its processes wrote. */
  get output(): readonly string[] {
    return this.#lines
  }

  /** SIGKILL to all its processes at once, and waits until the last of them is gone. */
  async kill(): Promise<void> {
    this.signal()
    await this.#end(() => this.#members())
    await this.ended
    started.delete(this)
  }

  /** SIGKILL to those of its processes whose command line is like this. Rejects when there are none. */
  async killSome(command: RegExp): Promise<void> {
    const like = () => this.#members().filter((member) => command.test(commandOf(member)))
    const some = like()
    if (some.length === 0) throw new Error(`No process of ${this.#child.spawnfile} is like ${command}`)
    for (const member of some) killIfRunning(member)
    // others may be started in their place
    await this.#end(() => this.#members().filter((member) => some.includes(member)))
  }

  signal(): void {
    const { pid } = this.#child
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL')
    } catch {
      // none of them is left
    }
  }

  #members(): number[] {
    const { pid } = this.#child
    return pid === undefined ? [] : members(pid)
  }

  async #end(left: () => number[]): Promise<void> {
    // no event tells of the end of a grandchild
    for (let tries = 0; left().length > 0; tries++) {
      if (tries === 1000) throw new Error(`The processes of ${this.#child.spawnfile} outlive SIGKILL`)
      await pause(10)
    }
  }

  #keep(data: Buffer): void {
    this.#lines.push(...data.toString().split('\n').filter(Boolean))
    this.#lines.splice(0, this.#lines.length - 200)
  }
}

/** A process may end by itself between being listed and being killed. */
function killIfRunning(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** The processes of a group that are more than zombies. */
function members(group: number): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      // "pid (name) state parent group …", and a name may hold anything
      const [state, , id] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return Number(id) === group && state !== 'Z' && state !== 'X' ? [Number(name)] : []
    } catch {
      return [] // ended in between
    }
  })
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
