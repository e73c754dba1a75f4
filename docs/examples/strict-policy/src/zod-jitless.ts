// src/zod-jitless.ts
import { config } from 'zod'

config({ jitless: true })
