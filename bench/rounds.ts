/** Rounds that count; one more goes before them and warms up. */
export const rounds = 5

/**
 * Measures several things in turn, round by round, so that whatever else the machine does meets all of them alike. Gives
 * the samples of each, the first round left out.
 */
export async function alternate<Name extends string>(
  sides: Readonly<Record<Name, () => Promise<number>>>,
  count = rounds,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(sides) as Name[]
  const samples = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>
  for (let round = 0; round <= count; round++) {
    for (const name of names) {
      const sample = await sides[name]()
      if (round > 0) samples[name].push(sample)
    }
  }
  return samples
}
