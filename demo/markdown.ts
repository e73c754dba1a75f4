import DOMPurify from 'dompurify'
import { Marked, type Token, type TokensList } from 'marked'

// Model and tool output is hostile. Three walls, each of which would do alone: HTML in the source is shown as text; what
// the renderer makes is sanitised against a short list of tags; and the page's CSP allows no inline script, no style, no
// foreign image and no form target.

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (character) => escapes[character] ?? character)

function webAddress(href: string): string | undefined {
  const url = URL.parse(href)
  return url && (url.protocol === 'https:' || url.protocol === 'http:') ? url.href : undefined
}

const shorten = (text: string, limit = 120) => (text.length > limit ? `${text.slice(0, limit - 1)}…` : text)

const marked = new Marked({
  gfm: true,
  renderer: {
    html: ({ text }) => escapeHtml(text),
    // Opens on a click only, in a tab that knows nothing of this one, and shows where to.
    link({ href, tokens, text }) {
      const label = this.parser.parseInline(tokens)
      const url = webAddress(href)
      if (!url) return `${label} <small>(${escapeHtml(shorten(href))})</small>`
      const address = text === href || text === url ? '' : ` <small>(${escapeHtml(shorten(url))})</small>`
      return `<a href="${escapeHtml(url)}" target="_blank" rel="noopener noreferrer nofollow">${label}</a>${address}`
    },
    // Nothing loads by itself: an image's address can carry away what the conversation holds.
    image: ({ href, text }) =>
      `<samp>Image not loaded: ${escapeHtml(text || 'no description')} <small>(${escapeHtml(shorten(href))})</small></samp>`,
    checkbox: ({ checked }) => `<b>${checked ? '☑' : '☐'}</b> `,
  },
})

const allowed = {
  ALLOWED_TAGS:
    'a p br hr em strong b del code pre blockquote ul ol li h1 h2 h3 h4 h5 h6 table thead tbody tr th td small samp'.split(
      ' ',
    ),
  ALLOWED_ATTR: ['href', 'target', 'rel', 'start', 'align'],
  ALLOWED_URI_REGEXP: /^https?:\/\//i,
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  // `target` is dropped as a risk otherwise; `rel` stands beside it on every link that we make
  ADD_URI_SAFE_ATTR: ['target', 'rel'],
  RETURN_DOM_FRAGMENT: true as const,
}

/**
 * Shows Markdown that grows. Blocks whose source did not change keep their elements, so an answer of any length costs, per
 * frame, one pass of the lexer and one rendered block.
 */
export class Markdown {
  readonly element = document.createElement('div')
  #blocks: { readonly raw: string; readonly nodes: readonly ChildNode[] }[] = []
  #source = ''
  #links = 0

  constructor() {
    this.element.className = 'markdown'
  }

  update(source: string): void {
    if (source === this.#source) return
    this.#source = source
    const tokens = marked.lexer(source)
    const same = this.#unchanged(tokens)
    for (const { nodes } of this.#blocks.splice(same)) for (const node of nodes) node.remove()
    for (const token of tokens.slice(same)) {
      const nodes = [...render(token, tokens.links).childNodes]
      this.element.append(...nodes)
      this.#blocks.push({ raw: token.raw, nodes })
    }
  }

  #unchanged(tokens: TokensList): number {
    // a link definition at the end changes what comes before it
    const links = Object.keys(tokens.links).length
    const redo = links !== this.#links
    this.#links = links
    if (redo) return 0
    let same = 0
    while (same < tokens.length && this.#blocks[same]?.raw === tokens[same]?.raw) same++
    return same
  }
}

function render(token: Token, links: TokensList['links']): DocumentFragment {
  const html = marked.parser(Object.assign([token], { links }))
  return DOMPurify.sanitize(html, allowed)
}
