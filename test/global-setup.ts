import type { TestProject } from 'vitest/node'
import { startServer } from './server/server.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Origin of the OpenAI-compatible server that answers what a test scripts, see server/client.ts. */
    modelServer: string
  }
}

export default async function setup(project: TestProject) {
  const server = await startServer()
  project.provide('modelServer', server.origin)
  return () => server.close()
}
