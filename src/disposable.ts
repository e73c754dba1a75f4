/// <reference lib="esnext.disposable" />
// WebKit lacks these symbols. A class that defines `[Symbol.dispose]` imports this module first: the key is read when the
// class is defined. The key must be the one that a bundler's `using` helper looks up, hence `Symbol.for` as a fallback only.
const provide = (name: 'dispose' | 'asyncDispose') => {
  if (Symbol[name]) return
  Object.defineProperty(Symbol, name, { value: Symbol.for(`Symbol.${name}`) })
}
provide('dispose')
provide('asyncDispose')

export {}
