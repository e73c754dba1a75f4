import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { findChromium } from './chromium.ts'
import { aptInstall, isDebianRoot } from './debian.ts'
import { isExecutable } from './executables.ts'

// Runs before the tests: finds a Chromium or installs one, else says in one line what to do.

const found = findChromium()
if (found === undefined) install()
else if (!isExecutable(found)) fail(`CHROME_PATH is ${found}, which is no executable file: correct or unset it.`)

function install(): void {
  if (isDebianRoot()) {
    console.log('No Chromium found: installing Debian’s.')
    if (aptInstall('chromium') && findChromium()) return
  }
  console.log('No Chromium found: downloading Playwright’s.')
  const cli = fileURLToPath(new URL('./cli.js', import.meta.resolve('playwright-core')))
  const withLibraries = process.platform === 'linux' && process.getuid?.() === 0 ? ['--with-deps'] : []
  if (run(process.execPath, [cli, 'install', ...withLibraries, 'chromium']) && findChromium()) return
  fail('The tests need Chromium or Chrome: install one, or set CHROME_PATH to its executable.')
}

function run(command: string, args: readonly string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], env }).status === 0
}

function fail(message: string): never {
  console.error(message)
  process.exit(1)
}
