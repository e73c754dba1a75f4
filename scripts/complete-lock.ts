import { readFileSync, writeFileSync } from 'node:fs'

// npm drops a platform's package from the lock when the registry it asks does not carry it, and then `npm ci` refuses the
// lock everywhere. This puts such packages back, named by the platform that their names end on. Run it after npm install.

interface Locked {
  version: string
  dev?: true
  optional?: true
  os?: string[]
  cpu?: string[]
  libc?: string[]
  optionalDependencies?: Record<string, string>
}

const file = new URL('../package-lock.json', import.meta.url)
const lock = JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, Locked> }
const platform =
  /-(aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)-(arm64|arm|x64|ia32|ppc64|riscv64|s390x|loong64|mips64el)(?:-(gnu|musl|eabi|msvc)\w*)?$/

for (const { dev, optionalDependencies = {} } of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const path = `node_modules/${name}`
    const [, os, cpu, abi] = platform.exec(name) ?? []
    if (lock.packages[path] || !os || !cpu || !/^\d/.test(version)) continue
    const libc = os === 'linux' && abi ? { libc: [abi === 'musl' ? 'musl' : 'glibc'] } : {}
    lock.packages[path] = { version, cpu: [cpu], ...(dev && { dev }), ...libc, optional: true, os: [os] }
    console.log(`added ${name}@${version}`)
  }
}

const sorted = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en'))
writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`)
