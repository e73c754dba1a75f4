import type { CDPSession } from 'playwright-core'

/** What the page's measurements ask of Chromium's DevTools; they call it as global functions. */
export interface DevTools {
  /** Bytes of JavaScript heap in use, after garbage collection: the page's and those of its workers together. */
  collectedHeaps(): Promise<{ readonly page: number; readonly workers: number }>
  beginTrace(): Promise<void>
  /** What the page's thread did between the performance marks `begin` and `end`. */
  endTrace(): Promise<ThreadTime>
}

export interface ThreadTime {
  /** Percent of the time in which the thread itself was at work. */
  readonly busy: number
  /** Milliseconds from the start of the longest task to its end. */
  readonly longest: number
}

interface TraceEvent {
  readonly name: string
  readonly cat: string
  readonly pid: number
  readonly tid: number
  /** Microseconds, as is `dur`. */
  readonly ts: number
  readonly dur?: number
  /** Of the thread's own time: what other processes took from it meanwhile is left out. */
  readonly tdur?: number
}

export function devToolsOf(session: CDPSession): DevTools {
  const workers = workersOf(session)
  let events: TraceEvent[] = []
  session.on('Tracing.dataCollected', ({ value }) => events.push(...(value as unknown as TraceEvent[])))
  return {
    async collectedHeaps() {
      await workers.attached
      // What one collection frees may hold on to more, by weak references and finalizers.
      for (let i = 0; i < 3; i++) {
        await session.send('HeapProfiler.collectGarbage')
        await workers.send('HeapProfiler.collectGarbage')
      }
      const { usedSize } = await session.send('Runtime.getHeapUsage')
      const used = (await workers.send('Runtime.getHeapUsage')) as { usedSize: number }[]
      return { page: usedSize, workers: used.reduce((sum, worker) => sum + worker.usedSize, 0) }
    },
    async beginTrace() {
      events = []
      const includedCategories = ['disabled-by-default-devtools.timeline', 'blink.user_timing']
      const traceConfig = { includedCategories, excludedCategories: ['*'] }
      await session.send('Tracing.start', { transferMode: 'ReportEvents', traceConfig })
    },
    async endTrace() {
      const complete = new Promise((resolve) => session.once('Tracing.tracingComplete', resolve))
      await session.send('Tracing.end')
      await complete
      return tasksBetweenMarks(events)
    },
  }
}

function tasksBetweenMarks(events: readonly TraceEvent[]): ThreadTime {
  const mark = (name: string) => {
    const found = events.find((event) => event.name === name && event.cat === 'blink.user_timing')
    if (!found) throw new Error(`The trace has no mark "${name}".`)
    return found
  }
  const begin = mark('begin')
  const end = mark('end')
  const tasks = events.filter(
    ({ name, pid, tid, ts }) =>
      name === 'RunTask' && pid === begin.pid && tid === begin.tid && ts >= begin.ts && ts < end.ts,
  )
  const atWork = tasks.reduce((sum, { dur = 0, tdur = dur }) => sum + tdur, 0)
  const longest = Math.max(...tasks.map(({ dur = 0 }) => dur))
  return { busy: (atWork / (end.ts - begin.ts)) * 100, longest: longest / 1000 }
}

/** Playwright has no sessions with workers: messages to them go through the page's. */
function workersOf(session: CDPSession) {
  const sessions = new Set<string>()
  const pending = new Map<number, (result: unknown) => void>()
  let lastId = 0
  session.on('Target.attachedToTarget', ({ sessionId, targetInfo }) => {
    if (targetInfo.type === 'worker') sessions.add(sessionId)
  })
  session.on('Target.detachedFromTarget', ({ sessionId }) => sessions.delete(sessionId))
  session.on('Target.receivedMessageFromTarget', ({ message }) => {
    const { id, result } = JSON.parse(message) as { id?: number; result?: unknown }
    if (id === undefined) return
    pending.get(id)?.(result)
    pending.delete(id)
  })
  return {
    attached: session.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: false }),
    send: (method: string) =>
      Promise.all(
        [...sessions].map(async (sessionId) => {
          const id = ++lastId
          const result = new Promise((resolve) => pending.set(id, resolve))
          await session.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id, method }) })
          return result
        }),
      ),
  }
}
