import type { Arm } from '../world/ledger.ts'

// Failpoints, seen from a page or a worker: the world says where this life of it ends.

/** A request to the world, by any thread of the page. */
export async function tell<T>(path: string, parameters: Record<string, string>, body?: string): Promise<T> {
  const address = `${path}?${new URLSearchParams(parameters)}`
  const response = await fetch(address, { method: 'POST', body: body ?? null, cache: 'no-store' })
  return response.json() as Promise<T>
}

const arms = new Map<string, Promise<Arm | null>>()
const passed = new Map<string, number>()
const held = new Set<() => void>()
let letGoes = 0

/** Lets go on who was stopped in this thread: another one died instead. */
export function letGo(): void {
  for (const go of held) go()
  held.clear()
  letGoes++
}

/** Whoever passes the armed point for the n-th time in this life tells the world, and does not go on. */
export async function pass(session: string, point: string): Promise<void> {
  let asked = arms.get(session)
  if (!asked) {
    asked = fetch(`/armed?${new URLSearchParams({ session })}`, { cache: 'no-store' }).then((answer) => answer.json())
    arms.set(session, asked)
  }
  const arm = await asked
  if (arm?.point !== point) return
  const key = `${session} ${point}`
  const count = (passed.get(key) ?? 0) + 1
  passed.set(key, count)
  if (count !== arm.nth) return
  const before = letGoes
  const { stop } = await tell<{ stop: boolean }>('/reached', { session, point })
  // The other one may have died while the world's word was on its way.
  if (stop && letGoes === before) await new Promise<void>((go) => held.add(go))
}
