import type { Message, MessagePart } from 'turnloop'
import { AttachedFile, type OpenFile } from './attached-file.ts'
import { element } from './dom.ts'
import { Markdown } from './markdown.ts'
import { type Surroundings, ToolCard } from './tool-card.ts'

/** Calls that wait for somebody's yes. */
type Asked = ReadonlySet<string>

interface PartView {
  readonly kind: string
  readonly element: HTMLElement
  update(part: MessagePart, surroundings: Surroundings, asked: Asked): void
}

/** One message. Its parts keep their elements, so that an open card stays open while the answer goes on. */
export class MessageView {
  readonly element: HTMLElement
  readonly #body = element('div', { className: 'body' })
  readonly #note = element('p', { className: 'note' }, 'Stopped before the end.')
  readonly #parts: PartView[] = []
  #message: Message | undefined
  #surroundings: Surroundings | undefined
  #asked: Asked | undefined

  readonly #openFile: OpenFile

  constructor(role: Message['role'], openFile: OpenFile) {
    this.#openFile = openFile
    const speaker = element('h3', { className: 'visually-hidden' }, role === 'user' ? 'You' : 'Assistant')
    this.element = element('article', { className: `message ${role}` }, speaker, this.#body)
  }

  /** Does nothing where the message is the same object: what did not change in a view keeps its identity. */
  update(message: Message, surroundings: Surroundings, noted: boolean, asked = nothingAsked): void {
    if (noted) this.element.append(this.#note)
    else this.#note.remove()
    if (message === this.#message && surroundings === this.#surroundings && asked === this.#asked) return
    this.#message = message
    this.#surroundings = surroundings
    this.#asked = asked
    message.parts.forEach((part, index) => {
      const kind = kindOf(part, message.role)
      let view = this.#parts[index]
      if (view?.kind !== kind) {
        const made = makers[kind](this.#openFile)
        if (view) view.element.replaceWith(made.element)
        else this.#body.append(made.element)
        view = { kind, ...made }
        this.#parts[index] = view
      }
      view.update(part, surroundings, asked)
    })
    for (const { element } of this.#parts.splice(message.parts.length)) element.remove()
  }
}

export const nothingAsked: Asked = new Set()

type Kind = 'said' | 'text' | 'reasoning' | 'tool' | 'source' | 'file' | 'other'

function kindOf(part: MessagePart, role: Message['role']): Kind {
  if (part.type === 'text') return role === 'user' ? 'said' : 'text'
  if (part.type === 'reasoning') return 'reasoning'
  if ('toolCallId' in part) return 'tool'
  if (part.type === 'source-url' || part.type === 'source-document') return 'source'
  if (part.type === 'file' || part.type === 'reasoning-file') return 'file'
  return 'other'
}

const makers: Record<Kind, (openFile: OpenFile) => Omit<PartView, 'kind'>> = {
  said: () => plain('said', (part) => ('text' in part ? part.text : '')),

  text() {
    const markdown = new Markdown()
    return { element: markdown.element, update: (part) => 'text' in part && markdown.update(part.text) }
  },

  reasoning() {
    const text = element('div', { className: 'thought' })
    return {
      element: element('details', { className: 'reasoning' }, element('summary', {}, 'Reasoning'), text),
      update(part) {
        if ('text' in part) text.textContent = part.text
      },
    }
  },

  tool() {
    const card = new ToolCard()
    return {
      element: card.element,
      update(part, surroundings, asked) {
        if (!('toolCallId' in part)) return
        card.update(
          { ...part, name: part.type === 'dynamic-tool' ? part.toolName : part.type.slice('tool-'.length) },
          asked.has(part.toolCallId) ? 'asked' : surroundings,
        )
      },
    }
  },

  // Addresses from a model are shown as text.
  source: () =>
    plain('source', (part) => {
      if (part.type === 'source-url') return `Source: ${part.title ? `${part.title}, ` : ''}${part.url}`
      return part.type === 'source-document' ? `Source: ${part.title}` : ''
    }),

  file(openFile) {
    const file = new AttachedFile(openFile)
    return {
      element: file.element,
      update: (part) => (part.type === 'file' || part.type === 'reasoning-file') && file.update(part),
    }
  },

  other: () => plain('source', () => ''),
}

function plain(className: string, textOf: (part: MessagePart) => string): Omit<PartView, 'kind'> {
  const node = element('div', { className })
  return {
    element: node,
    update(part) {
      const text = textOf(part)
      node.hidden = !text
      if (node.textContent !== text) node.textContent = text
    },
  }
}
