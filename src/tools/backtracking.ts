// Whether a regular expression can take time that doubles with each character of its input: it can where one place of it
// comes back to itself in two ways over the same text, as `(a+)+` and `(a|a)*` do. Told from its Glushkov automaton.

/** What a part of a pattern can begin and end with, as places of the automaton. */
interface Part {
  readonly nullable: boolean
  readonly first: readonly number[]
  readonly last: readonly number[]
}

const nothing: Part = { nullable: true, first: [], last: [] }
/** Characters of a pattern that are looked at. A longer one counts as dangerous. */
const longest = 1000

/** How much looking at patterns may cost in all; what takes more counts as dangerous. */
export interface Budget {
  steps: number
}
export const newBudget = (): Budget => ({ steps: 300_000 })

/** False for a pattern that no engine takes: nobody can run it. */
export function mayExplode(pattern: string, budget: Budget = newBudget()): boolean {
  if (pattern.length > longest) return true
  try {
    new RegExp(pattern, 'u')
  } catch {
    try {
      new RegExp(pattern)
    } catch {
      return false
    }
  }
  const automaton = new Automaton(pattern, budget)
  try {
    automaton.read()
    return automaton.explodes()
  } catch {
    return true
  }
}

class Automaton {
  readonly #pattern: string
  /** What each place takes: a bit for each sample. */
  readonly #takes: bigint[] = []
  readonly #follow: Set<number>[] = []
  /** Steps that are there twice. */
  readonly #double: [number, number][] = []
  readonly #samples: readonly string[]
  readonly #budget: Budget
  #at = 0

  constructor(pattern: string, budget: Budget) {
    this.#pattern = pattern
    this.#budget = budget
    const ascii = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code))
    this.#samples = [...new Set([...ascii, 'é', 'Ω', '中', '\u2028', '😀', ...pattern])]
  }

  read(): Part {
    let all = this.#sequence()
    while (this.#pattern[this.#at] === '|') {
      this.#at++
      const next = this.#sequence()
      all = {
        nullable: all.nullable || next.nullable,
        first: [...all.first, ...next.first],
        last: [...all.last, ...next.last],
      }
    }
    return all
  }

  #sequence(): Part {
    let all = nothing
    while (this.#at < this.#pattern.length && !'|)'.includes(this.#pattern[this.#at] as string)) {
      const next = this.#repeated(this.#atom())
      this.#join(all.last, next.first)
      all = {
        nullable: all.nullable && next.nullable,
        first: all.nullable ? [...all.first, ...next.first] : all.first,
        last: next.nullable ? [...all.last, ...next.last] : next.last,
      }
    }
    return all
  }

  #join(from: readonly number[], to: readonly number[]) {
    for (const before of from)
      for (const after of to) {
        this.#count()
        const follow = this.#follow[before] as Set<number>
        if (follow.has(after)) this.#double.push([before, after])
        follow.add(after)
      }
  }

  /** The part as often as its quantifier says. A few times are no loop. */
  #repeated(part: Part): Part {
    const [all = '', least = '', comma, upper = ''] = this.#take(/[*+?]|\{(\d+)(,?)(\d*)\}/y) ?? []
    if (!all) return part
    this.#take(/\?/y)
    const loops = all === '*' || all === '+' || Number(comma && !upper ? Number.POSITIVE_INFINITY : upper || least) > 10
    if (loops) this.#join(part.last, part.first)
    return { ...part, nullable: part.nullable || all === '*' || all === '?' || least === '0' }
  }

  #take(expression: RegExp): RegExpExecArray | null {
    expression.lastIndex = this.#at
    const found = expression.exec(this.#pattern)
    if (found) this.#at += found[0].length
    return found
  }

  #atom(): Part {
    if (this.#take(/[\^$]|\\[bB]/y)) return nothing
    if (this.#take(/\(/y)) {
      const looks = this.#take(/\?<?[=!]/y)
      if (!looks) this.#take(/\?(?::|<[^>]*>|[a-z-]*:)/y)
      const part = this.read()
      this.#at++
      return looks ? nothing : part
    }
    const atom =
      this.#take(
        /\[(?:\\.|[^\]\\])*\]|\\(?:[pP]\{[^}]*\}|u\{[^}]*\}|u[\da-fA-F]{4}|x[\da-fA-F]{2}|c[a-zA-Z]|k<[^>]*>|.)/suy,
      ) ?? this.#take(/./suy)
    return this.#place(atom?.[0] ?? '')
  }

  #place(atom: string): Part {
    const place = this.#takes.length
    this.#takes.push(this.#bitsOf(atom))
    this.#follow.push(new Set())
    return { nullable: false, first: [place], last: [place] }
  }

  #bitsOf(atom: string): bigint {
    for (const flags of ['u', '']) {
      try {
        const one = new RegExp(`^(?:${atom})$`, flags)
        return this.#samples.reduce((bits, sample, at) => (one.test(sample) ? bits | (1n << BigInt(at)) : bits), 0n)
      } catch {
        // Only without `u` is it one.
      }
    }
    return -1n
  }

  explodes(): boolean {
    const reached = this.#follow.map((follow) => this.#closure(follow, (at) => this.#follow[at] ?? []))
    const loops = (from: number, to: number) => reached[from]?.has(to) === true && reached[to]?.has(from) === true
    if (this.#double.some(([from, to]) => loops(from, to))) return true
    const seen = new Set<number>()
    return this.#follow.some((_, place) => {
      if (seen.has(place) || !loops(place, place)) return false
      const loop = [...this.#follow.keys()].filter((other) => loops(place, other))
      for (const other of loop) seen.add(other)
      return this.#isAmbiguous(new Set(loop), place)
    })
  }

  /** Whether two different ways lead from a place of a loop back to it over the same text. */
  #isAmbiguous(loop: ReadonlySet<number>, place: number): boolean {
    const size = this.#follow.length
    const overlaps = new Map(
      [...loop].map((one) => [one, [...loop].filter((other) => this.#bits(one) & this.#bits(other))]),
    )
    const back = new Map<number, number[]>()
    const onward = (pair: number) => {
      const others = this.#follow[pair % size] as Set<number>
      const next = [...(this.#follow[Math.floor(pair / size)] as Set<number>)]
        .flatMap((one) => (overlaps.get(one) ?? []).map((other) => [one, other] as const))
        .filter(([, other]) => this.#count() && others.has(other))
        .map(([one, other]) => one * size + other)
      for (const to of next) {
        const before = back.get(to)
        if (before) before.push(pair)
        else back.set(to, [pair])
      }
      return next
    }
    const start = place * size + place
    this.#closure([start], onward)
    const around = this.#closure([start], (pair) => back.get(pair) ?? [])
    return [...around].some((pair) => Math.floor(pair / size) !== pair % size)
  }

  #bits(place: number): bigint {
    return this.#count() && (this.#takes[place] ?? 0n)
  }

  /** All that can be reached, what it starts from included. */
  #closure(from: Iterable<number>, onward: (at: number) => Iterable<number>): Set<number> {
    const reached = new Set(from)
    for (const at of reached)
      for (const next of onward(at)) {
        this.#count()
        reached.add(next)
      }
    return reached
  }

  #count(): true {
    if (--this.#budget.steps < 0) throw new RangeError('too large')
    return true
  }
}
