// vite.config.ts
import { defineConfig } from 'vite'

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "require-trusted-types-for 'script'",
  'trusted-types agent-worker',
].join('; ')

export default defineConfig({
  worker: { format: 'es' }, // a provider that is imported on use stays a chunk of its own
  preview: { headers: { 'content-security-policy': policy } }, // your server's header in production
})
