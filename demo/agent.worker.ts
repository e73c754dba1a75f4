import './zod.ts'
import { serve } from 'turnloop/runtime'
import { runtime } from './agent.ts'

serve(runtime)
