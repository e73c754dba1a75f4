// A handler for any server that takes a Request and gives a Response.
export function openaiProxy(mayUse: (request: Request) => boolean | Promise<boolean>) {
  return async (request: Request): Promise<Response> => {
    if (!(await mayUse(request))) return new Response('Sign in first', { status: 401 })
    if (request.method !== 'POST' || !new URL(request.url).pathname.endsWith('/responses'))
      return new Response('Not here', { status: 404 })
    const answer = await fetch('https://api.openai.com/v1/responses', {
      method: 'POST',
      headers: { authorization: `Bearer ${process.env.OPENAI_API_KEY}`, 'content-type': 'application/json' },
      body: await request.text(),
      signal: request.signal, // the page went away, or the run was stopped: the model stops too
    })
    const headers = new Headers({ 'cache-control': 'no-store' })
    for (const name of ['content-type', 'retry-after']) {
      const value = answer.headers.get(name)
      if (value) headers.set(name, value)
    }
    return new Response(answer.body, { status: answer.status, headers })
  }
}
