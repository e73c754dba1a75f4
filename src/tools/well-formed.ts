/** The text in whole characters: half of one can't be said in UTF-8, and some endpoints refuse what holds it. */
export const wellFormed = (text: string): string =>
  // Engines of before 2024 lack it.
  (text as { toWellFormed?: () => string }).toWellFormed?.() ?? text
