const steps = ['The kitchen has the order', 'The dough is rolled', 'It is in the oven'] as const

/** Milliseconds of one step: long enough to kill the worker in the midst of it. */
const pace = 2000

/** Orders nothing, at the pace of a kitchen; tells how far it is. */
export async function* orderPizza(
  { pizza }: { readonly pizza: string },
  { abortSignal }: { abortSignal: AbortSignal },
) {
  for (const step of steps) {
    yield step
    await pause(pace, abortSignal)
  }
  yield `One ${pizza}, order no. ${100 + Math.floor(Math.random() * 900)}`
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds)
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        reject(signal.reason)
      },
      { once: true },
    )
  })
}
