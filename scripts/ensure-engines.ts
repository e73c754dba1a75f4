import { aptInstall, isDebianRoot } from './debian.ts'
import { findFirefox, findWebKitGtk, findXvfb } from './engines.ts'

// Runs before the tests in Firefox and WebKitGTK: installs what is missing on Debian, else says in one line what to do.

const needed = [
  { name: 'Firefox', package: 'firefox-esr', find: findFirefox },
  { name: 'WebKitGTK’s MiniBrowser and WebKitWebDriver', package: 'webkit2gtk-driver', find: findWebKitGtk },
  { name: 'Xvfb', package: 'xvfb', find: findXvfb },
]
const missing = () => needed.filter(({ find }) => find() === undefined)

if (missing().length > 0) {
  const packages = missing().map((part) => part.package)
  if (isDebianRoot()) console.log(`Missing: installing Debian’s ${packages.join(', ')}.`)
  if (!aptInstall(...packages) || missing().length > 0) {
    const names = missing().map(({ name }) => name)
    console.error(
      `These tests need Linux with ${names.join(', ')}: install them (on Debian: apt-get install ${packages.join(' ')}), or set FIREFOX_PATH.`,
    )
    process.exit(1)
  }
}
