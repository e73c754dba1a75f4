import { jsonSchema, tool } from 'ai'
import { z } from 'zod'

/** A tool that answers at once. */
export const forecast = () =>
  tool({
    description: 'Weather forecast for a city',
    inputSchema: z.object({ city: z.string(), days: z.number().optional() }),
    execute: ({ city }) => ({ city, celsius: 21 }),
  })

/** A tool that returns, or throws, what `make` does. */
export const returning = (make: () => unknown) => ({
  act: tool({ inputSchema: z.object({}), execute: async () => make() }),
})

export const anything = jsonSchema<Record<string, unknown>>({ type: 'object' })
