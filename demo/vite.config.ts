import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'
import { sourceAliases } from '../scripts/entries.ts'
import { contentSecurityPolicy } from './server/content-security-policy.ts'
import { openaiProxy } from './server/openai-proxy.ts'

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

export default defineConfig({
  root: path('.'),
  appType: 'mpa',
  envDir: false,
  resolve: { alias: sourceAliases },
  plugins: [contentSecurityPolicy(), openaiProxy()],
  build: {
    target: 'es2023',
    outDir: path('dist'),
    emptyOutDir: true,
    // nothing inline: the policy would refuse it
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  // the default, iife, would inline the provider that the worker loads on first use
  worker: { format: 'es' },
  server: { host: '127.0.0.1', hmr: false, cors: false },
  preview: { host: '127.0.0.1', cors: false },
})
