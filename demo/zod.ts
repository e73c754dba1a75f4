import { config } from 'zod'

// zod compiles its first object schema with `new Function`, which a strict CSP reports as a violation, so this is the
// worker's first import: by the time any schema is made, zod has been told not to.
config({ jitless: true })
