import { execFile } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { anchors, codeBlocks, codeWords, excerpts, links, prose, tableRows } from '../docs/markdown.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const documents = ['README.md', 'CHANGELOG.md', ...globSync('docs/**/*.md', { cwd: root })].sort()
const examples = globSync('docs/examples/**/*.{ts,tsx}', { cwd: root }).sort()
const blocks = documents.flatMap((document) => codeBlocks(read(document)).map((block) => ({ document, ...block })))
const shown = blocks.filter(({ language }) => ['ts', 'tsx', 'js', 'jsx'].includes(language))
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }

describe('code in the documents', () => {
  it('is, to the letter, an example or a marked region of one', () => {
    const known = new Set(examples.flatMap((example) => [...excerpts(read(example)).values()]))
    const strangers = shown.filter(({ code }) => !known.has(code))
    expect(shown.length).toBeGreaterThan(20)
    expect(strangers.map(({ document, line, code }) => `${document}:${line}\n${code}`)).toEqual([])
  })

  it('leaves no example and no region unshown', () => {
    const codes = new Set(shown.map(({ code }) => code))
    // An agent that stands behind a region which is shown, and is needed to run it.
    const behind = ['docs/examples/page-tools/agent.worker.ts']
    const unshown = examples.flatMap((example) =>
      [...excerpts(read(example))]
        .filter(([, code]) => !codes.has(code) && !behind.includes(example))
        .map(([name]) => `${example} ${name}`),
    )
    expect(unshown).toEqual([])
  })

  it('is run by a test', () => {
    const tests = globSync('test/{docs,node}/**/*.{ts,tsx}', { cwd: root }).map(read).join('\n')
    const idle = examples.filter((example) => {
      const app = dirname(example).replace(/\/src$/, '')
      const isApp = existsSync(join(root, app, 'index.html'))
      // What an application's page and worker import runs with them.
      const inApp = isApp && /\/(vite\.config|main|agent|agent\.worker|zod-jitless)\.ts$/.test(example)
      return !tests.includes(inApp ? `${app}/` : example)
    })
    expect(idle).toEqual([])
  })

  it('is in a language that is checked, or is plain text', () => {
    expect([...new Set(blocks.map(({ language }) => language))].sort()).toEqual(['sh', 'text', 'ts', 'tsx'])
  })
})

describe('commands in the documents', () => {
  /** npm's own, as they are used here. */
  const own = new Set(['ci', 'test', 'install', 'pack', 'run'])

  it('are scripts of package.json', () => {
    const lines = [
      ...blocks.filter(({ language }) => language === 'sh').flatMap(({ code }) => code.split('\n')),
      ...documents
        .flatMap((document) => codeWords(prose(read(document))))
        .filter((word) => /^([A-Z_]+=\S+ )?npm (ci|test|run|install|pack)\b/.test(word) && !word.includes('\n')),
    ]
    const commands = lines.flatMap((line) => line.replace(/\s#.*/, '').split('&&')).map((command) => command.trim())
    expect(commands).toContain('npm run demo')
    expect(commands).toContain('npm test')
    const unknown = commands.filter((command) => {
      const [npm, verb = '', script = ''] = command.replace(/^([A-Z_]+=\S+ )+/, '').split(/\s+/)
      return npm !== 'npm' || !own.has(verb) || (verb === 'run' && !(script in scripts))
    })
    expect(unknown).toEqual([])
    expect(scripts).toHaveProperty('test')
  })

  it('for the clone stand near the top of the README', () => {
    const [first] = codeBlocks(read('README.md'))
    expect(first?.line).toBeLessThan(20)
    expect(first?.code).toMatch(/^npm ci && npm run demo\b.*\nnpm ci && npm test\b/)
  })
})

describe('links in the documents', () => {
  it('lead to files and headings that are there', () => {
    const broken = documents.flatMap((document) =>
      links(read(document))
        .filter((link) => !/^https:/.test(link))
        .filter((link) => {
          const [path = '', anchor] = link.split('#')
          const target = path === '' ? document : normalize(join(dirname(document), path))
          if (relative(root, join(root, target)).startsWith('..') || !existsSync(join(root, target))) return true
          return anchor !== undefined && !anchors(read(target)).has(anchor)
        })
        .map((link) => `${document}: ${link}`),
    )
    expect(broken).toEqual([])
  })
})

describe('the README', () => {
  it('names all that each entry point exports', { timeout: 60_000 }, async () => {
    const rows = tableRows(read('README.md')).filter(([name]) => /^`turnloop(\/\w+)?`$/.test(name ?? ''))
    const named = new Map(
      rows.filter(([, second]) => !/^[\d.]+$/.test(second ?? '')).map(([name, names]) => [name, names]),
    )
    expect([...named.keys()]).toEqual(
      ['', '/runtime', '/skills', '/mcp', '/react', '/testing'].map((name) => `\`turnloop${name}\``),
    )
    const exported = (entry: object) => Object.keys(entry).sort()
    const told = (name: string) => codeWords(named.get(name)).sort()
    expect(told('`turnloop`')).toEqual(exported(await import('../../src/index.ts')))
    expect(told('`turnloop/runtime`')).toEqual(exported(await import('../../src/runtime/index.ts')))
    expect(told('`turnloop/skills`')).toEqual(exported(await import('../../src/skills/index.ts')))
    expect(told('`turnloop/mcp`')).toEqual(exported(await import('../../src/mcp/index.ts')))
    expect(told('`turnloop/react`')).toEqual(exported(await import('../../src/react/index.ts')))
    expect(told('`turnloop/testing`')).toEqual(exported(await import('../../src/testing/index.ts')))
  })

  it('gives the sizes that `npm run size` prints, within a tenth', { timeout: 120_000 }, async () => {
    const told = tableRows(read('README.md'))
      .filter(([, size]) => /^\d+\.\d$/.test(size ?? ''))
      .map(([name = '', size]) => [name.replaceAll('`', ''), Number(size)] as const)
    expect(told.length).toBeGreaterThanOrEqual(3)
    // It ends with an error where a budget is missed; the figures are printed all the same.
    const { stdout } = await promisify(execFile)(process.execPath, [join(root, 'scripts/size.ts')]).catch(
      (error: { stdout: string }) => error,
    )
    const measured = new Map(
      [...stdout.matchAll(/^(\S.*?)\s{2,}([\d.]+)(?:\s|$)/gm)].map(([, name, size]) => [name, Number(size)]),
    )
    for (const [name, size] of told) {
      const now = measured.get(name)
      expect(now, `${name}, in ${stdout}`).toBeDefined()
      expect(Math.abs((now ?? 0) - size), `${name}: ${now} KB`).toBeLessThanOrEqual(Math.max(size / 10, 0.1))
    }
  })
})
