import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Installs packages of Debian's; false where this is no Debian, we are not root, or it did not work. */
export function aptInstall(...packages: readonly string[]): boolean {
  return isDebianRoot() && apt('update') && apt('install', '-y', ...packages)
}

export function isDebianRoot(): boolean {
  if (process.getuid?.() !== 0) return false
  try {
    return /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8'))
  } catch {
    return false
  }
}

function apt(...args: readonly string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return spawnSync('apt-get', args, { stdio: ['ignore', 'inherit', 'inherit'], env }).status === 0
}
