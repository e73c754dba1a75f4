import { playwright } from '@vitest/browser-playwright'
import { defineConfig } from 'vitest/config'
import { chromiumArgs, findChromium } from './scripts/chromium.ts'
import { sourceAliases } from './scripts/entries.ts'
import { mcpCommands } from './test/mcp-commands.ts'

const executablePath = findChromium()

export default defineConfig({
  resolve: { alias: sourceAliases },
  worker: { format: 'es' },
  test: {
    testTimeout: 15_000,
    hookTimeout: 15_000,
    // Bounds against hanging: a slow machine is no failure.
    expect: { poll: { timeout: 10_000 } },
    globalSetup: ['test/global-setup.ts'],
    projects: [
      {
        extends: true,
        // Whatever tests and their workers import: a package found in mid-run would reload the page and fail the run.
        optimizeDeps: {
          include: [
            '@ai-sdk/mcp',
            '@ai-sdk/openai',
            '@ai-sdk/provider',
            '@ai-sdk/provider-utils',
            'ai',
            'ai/test',
            'dompurify',
            'fast-check',
            'idb-keyval',
            'marked',
            'react',
            'react/jsx-dev-runtime',
            'react/jsx-runtime',
            'react-dom',
            'react-dom/client',
            'yaml',
            'zod',
          ],
        },
        test: {
          name: 'browser',
          sequence: { groupOrder: 1 },
          include: ['test/**/*.test.{ts,tsx}'],
          exclude: ['test/e2e/**', 'test/node/**'],
          browser: {
            enabled: true,
            headless: true,
            provider: playwright({
              launchOptions: { args: [...chromiumArgs], ...(executablePath && { executablePath }) },
            }),
            instances: [{ browser: 'chromium' }],
            commands: mcpCommands,
            screenshotFailures: false,
          },
        },
      },
      {
        extends: true,
        test: {
          name: 'node',
          // after the others: end-to-end tests start browsers of their own, and build the demo first
          sequence: { groupOrder: 2 },
          hookTimeout: 180_000,
          include: ['test/{node,e2e}/**/*.test.ts'],
          environment: 'node',
        },
      },
    ],
  },
})
