// src/agent.worker.ts
import './zod-jitless.ts' // first, before any module that makes a schema

import { serve } from 'turnloop/runtime'
import { runtime } from './agent.ts'

serve(runtime)
