import type { Connect, Plugin } from 'vite'

type Directives = Readonly<Record<string, readonly string[]>>

const shared: Directives = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
  'require-trusted-types-for': ["'script'"],
}

/** The page talks to its own server only. Its two policies: DOMPurify's, and the one that knows the worker's address. */
const page: Directives = {
  ...shared,
  'style-src': ["'self'"],
  // blob: an attached image that the session keeps
  'img-src': ["'self'", 'blob:'],
  'connect-src': ["'self'"],
  'worker-src': ["'self'"],
  'trusted-types': ['dompurify', 'turnloop-demo-worker'],
}

/**
 * The worker calls models: behind the proxy, or with a user's own key at OpenAI or on this computer. A module worker that is
 * fetched by URL does not inherit the page's policy, so it needs one of its own, on its script.
 */
const worker: Directives = {
  ...shared,
  'connect-src': ["'self'", 'https://api.openai.com', 'http://localhost:*', 'http://127.0.0.1:*'],
  'trusted-types': ["'none'"],
}

const text = (directives: Directives) =>
  Object.entries(directives)
    .map(([name, values]) => [name, ...values].join(' '))
    .join('; ')

const reports = '/api/csp-reports'

// these two work in a header only
const headers = (path: string) => ({
  'content-security-policy': `${text(isWorker(path) ? worker : page)}; frame-ancestors 'none'; report-uri ${reports}`,
  'cross-origin-opener-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
})

const isWorker = (path: string) => /agent\.worker[^/]*$/.test(path)

/**
 * Serves every answer under the policy, tells on the terminal what browsers report, and writes the policy into the built page
 * for hosts that set no headers.
 */
export function contentSecurityPolicy(): Plugin {
  const use = ({ middlewares }: { middlewares: Connect.Server }) => {
    middlewares.use((request, response, next) => {
      for (const [name, value] of Object.entries(headers(request.url ?? ''))) response.setHeader(name, value)
      next()
    })
    middlewares.use(reports, (request, response) => {
      // whatever it says, it is one short line
      request.once('data', (report: Buffer) =>
        console.error(`CSP violation: ${JSON.stringify(report.toString().slice(0, 2000))}`),
      )
      request.once('end', () => response.writeHead(204).end())
    })
  }
  return {
    name: 'demo:content-security-policy',
    configureServer: use,
    configurePreviewServer: use,
    transformIndexHtml: {
      order: 'pre',
      handler: (html, { server }) =>
        server
          ? html
          : [
              {
                tag: 'meta',
                attrs: { 'http-equiv': 'Content-Security-Policy', content: text(page) },
                injectTo: 'head-prepend',
              },
            ],
    },
  }
}
