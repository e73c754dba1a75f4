import { delimiter, join } from 'node:path'
import { chromium } from 'playwright-core'
import { isExecutable } from './executables.ts'

// Which browser tests, benchmarks and screenshots run in, and how it is started: in one place, so that they never differ.

/** Background services off; the sandbox off only for root, where Chromium refuses to start with it. */
export const chromiumArgs: readonly string[] = [
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** `CHROME_PATH` where it is set, even where nothing is there; else the usual places, then Playwright's own download. */
export function findChromium(): string | undefined {
  const { CHROME_PATH } = process.env
  if (CHROME_PATH) return CHROME_PATH
  return candidates().find(isExecutable)
}

function candidates(): string[] {
  const { env, platform } = process
  const downloaded = playwrightChromium()
  if (platform === 'darwin') {
    const apps = ['Google Chrome', 'Chromium'].map((name) => `/Applications/${name}.app/Contents/MacOS/${name}`)
    return [...apps, ...apps.map((app) => join(env.HOME ?? '', app)), ...downloaded]
  }
  if (platform === 'win32') {
    const roots = [env.PROGRAMFILES, env['PROGRAMFILES(X86)'], env.LOCALAPPDATA].filter((root) => root !== undefined)
    const places = ['Google\\Chrome\\Application\\chrome.exe', 'Chromium\\Application\\chrome.exe']
    return [...roots.flatMap((root) => places.map((place) => join(root, place))), ...downloaded]
  }
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']
  const folders = new Set([...(env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/local/bin', '/snap/bin'])
  const opt = ['/opt/google/chrome/chrome', '/opt/chromium/chromium']
  return [...names.flatMap((name) => [...folders].map((folder) => join(folder, name))), ...opt, ...downloaded]
}

/** Where `playwright install chromium` puts it; the path of a version that may not be there. */
function playwrightChromium(): string[] {
  try {
    return [chromium.executablePath()]
  } catch {
    return [] // a platform that Playwright has no build for
  }
}
