// Type tests: `tsc` runs them. What must not compile stands under `@ts-expect-error`.

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Compiles where the two types are the same. */
export function same<A, B>(..._: Same<A, B> extends true ? [] : [problem: 'these types differ', a: A, b: B]): void {}

/** Compiles where a value of that type could be given. */
export function takes<T>(_: T): void {}
