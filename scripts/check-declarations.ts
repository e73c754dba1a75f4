import { spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { entries } from './entries.ts'

// Are dist's declarations good for a user whose libraries are older than our sources' and who checks them
// (`skipLibCheck: false`), and do they name only packages that come with ours?

const root = fileURLToPath(new URL('..', import.meta.url))
const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>
  peerDependencies: Record<string, string>
}
let failed = false

for (const file of globSync('dist/**/*.d.ts', { cwd: root })) {
  const text = readFileSync(join(root, file), 'utf8').replace(/\/\*.*?\*\//gs, '') // examples in docstrings may import more
  for (const [, name = ''] of text.matchAll(/(?:from|import|import\()\s*['"]((?:@[^/'"]+\/)?[^./'"][^/'"]*)/g)) {
    if (Object.hasOwn(dependencies, name) || Object.hasOwn(peerDependencies, name)) continue
    console.error(`${file} names "${name}", which users of the package do not get`)
    failed = true
  }
}

const folder = mkdtempSync(join(tmpdir(), 'declarations-'))
try {
  const names = entries.map(
    ({ specifier }, index) => `import * as entry${index} from '${specifier}'\nvoid entry${index}\n`,
  )
  writeFileSync(join(folder, 'user.ts'), names.join(''))
  const compilerOptions = {
    lib: ['es2022', 'dom'],
    target: 'es2022',
    module: 'esnext',
    moduleResolution: 'bundler',
    strict: true,
    skipLibCheck: false,
    noEmit: true,
    types: [],
    paths: Object.fromEntries(entries.map(({ specifier, name }) => [specifier, [join(root, 'dist', `${name}.d.ts`)]])),
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['user.ts'] }))
  const tsc = fileURLToPath(new URL('./bin/tsc', import.meta.resolve('typescript/package.json')))
  const { stdout, error } = spawnSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], {
    encoding: 'utf8',
    cwd: root,
  })
  if (error) throw error
  // what other packages' declarations lack is theirs: a message begins with its file, further lines are indented
  const ours = stdout
    .split(/\n(?=\S)/)
    .filter((message) => /\berror TS/.test(message) && !message.startsWith('node_modules/'))
  for (const message of ours) console.error(message)
  if (ours.length > 0) failed = true
} finally {
  rmSync(folder, { recursive: true })
}

if (failed) process.exit(1)
console.log('The declarations compile with lib es2022 and dom.')
