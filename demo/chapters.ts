/** A chapter of a book that says little at length: something for a model's context to fill up with. */
export function chapterOf(chapter: number): string {
  const paragraphs = Array.from({ length: 8 }, (_, paragraph) =>
    Array.from({ length: 8 }, (_, sentence) => sentenceOf(chapter * 89 + paragraph * 13 + sentence * 7)).join(' '),
  )
  return [`Chapter ${chapter}`, ...paragraphs].join('\n\n')
}

const times = ['In the morning', 'At noon', 'When it rained', 'After the harvest', 'Late in the year'] as const
const people = ['the miller', 'a stranger', 'the ferryman', 'her brother', 'the whole village', 'nobody'] as const
const deeds = ['walked down to the river', 'counted the boats', 'waited for the post', 'mended the fence'] as const
const endings = ['and said nothing.', 'as they always had.', 'without a word of it to the others.'] as const

const sentenceOf = (seed: number) =>
  `${at(times, seed)} ${at(people, seed >> 1)} ${at(deeds, seed >> 2)} ${at(endings, seed >> 3)}`

const at = (words: readonly string[], index: number) => words[index % words.length] ?? ''
