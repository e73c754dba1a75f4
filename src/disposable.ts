/// <reference lib="esnext.disposable" />
// WebKit lacks these symbols. A class that defines `[Symbol.dispose]` imports this module first: the key is read when the
// class is defined.

/** Gives `symbols` what it lacks of `dispose` and `asyncDispose`: the symbols that a bundler's `using` helper looks up. */
export function provideDisposal(symbols: { readonly dispose?: symbol; readonly asyncDispose?: symbol }): void {
  for (const name of ['dispose', 'asyncDispose'] as const) {
    if (!symbols[name]) Object.defineProperty(symbols, name, { value: Symbol.for(`Symbol.${name}`) })
  }
}

provideDisposal(Symbol)
