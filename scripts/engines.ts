import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { inPath, isExecutable } from './executables.ts'

// Where Firefox and WebKitGTK are, for the tests that run in them.

/** `FIREFOX_PATH` where it is set, else from `PATH` or the usual place on macOS. */
export function findFirefox(): string | undefined {
  const { FIREFOX_PATH } = process.env
  if (FIREFOX_PATH) return isExecutable(FIREFOX_PATH) ? FIREFOX_PATH : undefined
  return inPath('firefox-esr', 'firefox') ?? ['/Applications/Firefox.app/Contents/MacOS/firefox'].find(isExecutable)
}

export interface WebKitGtk {
  readonly driver: string
  /** WebKitGTK's own small browser, the one that its driver can steer. */
  readonly browser: string
}

/** WebKitGTK's driver and MiniBrowser, which distributions put into a folder outside `PATH`. */
export function findWebKitGtk(): WebKitGtk | undefined {
  const driver = inPath('WebKitWebDriver')
  const browser = libraryFolders()
    .flatMap((folder) => ['webkit2gtk-4.1', 'webkitgtk-6.0'].map((name) => join(folder, name, 'MiniBrowser')))
    .find(isExecutable)
  return driver && browser ? { driver, browser } : undefined
}

export const findXvfb = (): string | undefined => inPath('Xvfb')

/** Fedora's and Arch's, then one per architecture as on Debian. */
function libraryFolders(): string[] {
  const folders = ['/usr/libexec', '/usr/lib64', '/usr/lib'].filter((folder) => existsSync(folder))
  const perArchitecture = existsSync('/usr/lib')
    ? readdirSync('/usr/lib').filter((name) => /-linux-gnu/.test(name))
    : []
  return [...folders, ...perArchitecture.map((name) => join('/usr/lib', name))]
}
