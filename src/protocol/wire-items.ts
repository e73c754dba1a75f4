import { AgentError, fromWire, report, toWire, type WireError } from '../errors.ts'
import type { ToPage } from './messages.ts'

// A structured clone of an error loses its class and code, so that errors cross a port as plain data.

export const toWireItem = (item: ToPage): ToPage =>
  convert(item, (error) => (error instanceof Error ? toWire(error) : error))

export const fromWireItem = (item: ToPage): ToPage =>
  convert(item, (error) => (error instanceof AgentError ? error : fromWire(error as WireError)))

/** Kinds of events that tell of an error, or may. */
const telling = new Set([
  'run-failed',
  'run-released',
  'run-stopped',
  'model-retried',
  'model-switched',
  'delegation-refused',
])

function convert(item: ToPage, change: (error: unknown) => unknown): ToPage {
  if (telling.has(item.kind) && 'error' in item && item.error) return { ...item, error: change(item.error) } as ToPage
  if (item.kind !== '@joined') return item
  const { snapshot } = item
  return {
    ...item,
    events: item.events.map((event) => convert(event, change)),
    ...(snapshot?.error ? { snapshot: { ...snapshot, error: change(snapshot.error) } } : undefined),
  } as ToPage
}

/** The items without what a port can't carry, which a model or a tool may have told; it is reported. */
export const cloneable = (items: readonly ToPage[]): ToPage[] =>
  items.flatMap((item) => {
    if (isCloneable(item)) return [item]
    return item.kind === '@joined' ? [{ ...item, events: item.events.filter(isCloneable) }] : []
  })

function isCloneable(item: ToPage): boolean {
  try {
    structuredClone(item)
    return true
  } catch (error) {
    report(error)
    return false
  }
}
