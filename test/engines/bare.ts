import type { BareBrowser } from './engine.ts'
import type { ProcessGroup } from './process-group.ts'

/** @param pages what the command lines of the processes are like that carry out pages */
export const bare = (group: ProcessGroup, pages: RegExp): BareBrowser => ({
  get running() {
    return group.running
  },
  get output() {
    return group.output
  },
  crashPages: () => group.killSome(pages),
  kill: () => group.kill(),
})
