import type { AnyEvent, InvocationHandle, Session } from 'turnloop'
import { element, icon } from './dom.ts'
import { inFull } from './format.ts'
import { hiddenMessages } from './hidden-messages.ts'

/** Something that happened between two messages. */
interface Marker {
  readonly at: number
  /** What comes to the same place as the one before takes its place. */
  readonly rewound: boolean
  readonly element: HTMLElement
}

const kinds = ['context-compacted', 'compaction-circuit-opened', 'model-switched', 'history-rewound'] as const
type Told = Extract<AnyEvent, { kind: (typeof kinds)[number] }>

/** What became of a conversation besides its messages: what was summarised, hidden, or taken over by another model. */
export class Markers {
  readonly #changed: () => void
  #listening: InvocationHandle | undefined
  #markers: Marker[] = []

  constructor(changed: () => void) {
    this.#changed = changed
  }

  open(session: Session): void {
    this.#listening?.abort()
    this.#markers = []
    const add = (event: unknown) => {
      this.#markers.push(markerOf(event as Told, session))
      this.#changed()
    }
    this.#listening = session.on(kinds, add, { since: 0 })
  }

  /** What happened after one message and before the next one, by when they were said. */
  between(after: number, before: number): HTMLElement[] {
    const here = this.#markers.filter(({ at }) => at > after && at <= before)
    const latest = here.findLast(({ rewound }) => rewound)
    return here.filter((marker) => !marker.rewound || marker === latest).map((marker) => marker.element)
  }
}

function markerOf(event: Told, session: Session): Marker {
  const { at } = event
  if (event.kind !== 'history-rewound') return { at, rewound: false, element: line(words(event)) }
  return { at, rewound: true, element: hiddenMessages(session, event.messageId) }
}

function words(event: Exclude<Told, { kind: 'history-rewound' }>): string {
  switch (event.kind) {
    case 'context-compacted':
      return `Older messages were summarised for the model: ${inFull(event.tokensBefore)} tokens became ${inFull(event.tokensAfter)}. Here they all stay.`
    case 'compaction-circuit-opened':
      return `Summaries failed ${event.consecutiveFailures} times in a row: older messages are left out for the model instead.`
    case 'model-switched':
      return `The model “${event.from}” failed: “${event.to}” goes on with the answer.`
  }
}

const line = (text: string) => element('p', { className: 'marker' }, icon('history'), element('span', {}, text))
