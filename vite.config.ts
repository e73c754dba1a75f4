import { isAbsolute } from 'node:path'
import { defineConfig } from 'vite'
import { entries } from './scripts/entries.ts'

// The library's build: one module per source file, unminified, so that a user's bundler drops what is not used and a
// user's debugger shows readable names. Declarations come from tsc, see scripts/build.ts.

/** The only packages that built code may import. All others give types alone. */
const external = ['@ai-sdk/mcp', '@ai-sdk/provider', 'idb-keyval', 'react', 'yaml']

export default defineConfig({
  build: {
    target: 'es2022',
    outDir: 'dist',
    minify: false,
    sourcemap: true,
    reportCompressedSize: false,
    lib: { entry: Object.fromEntries(entries.map(({ name, source }) => [name, source])), formats: ['es'] },
    rolldownOptions: {
      external: (id) => {
        if (external.includes(id)) return true
        // our own modules, and the helpers that the compiler adds for newer syntax
        if (isAbsolute(id) || /^[.\0]|^@oxc-project\/runtime\//.test(id)) return false
        throw new Error(`src imports a value from "${id}": import its types only, or add it to vite.config.ts`)
      },
      output: { preserveModules: true, preserveModulesRoot: 'src', entryFileNames: '[name].js' },
    },
  },
})
