import type { Row } from './row.ts'

/** All figures, aligned, and what of the budgets is met. */
export function printTable(rows: readonly Row[], heading: string): void {
  const cells = rows.map((row) => [
    row.name,
    `${number(row.value)} ${row.unit}`,
    row.range ? `${number(row.range[0])} – ${number(row.range[1])}` : '',
    row.peerValue === undefined ? '' : `${row.peer}: ${number(row.peerValue)} ${row.unit}`,
    row.ratio === undefined ? '' : `${number(row.ratio)} ×`,
    row.budget === undefined ? '' : `${number(row.budget)} ${row.unit}`,
    row.met === undefined ? '' : row.met ? 'met' : 'MISSED',
  ])
  const head = ['', 'median', 'lowest – highest', 'peer', 'ratio', 'budget', '']
  const widths = head.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        column === 0 || column === 6 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd()
  console.log(heading)
  console.log(line(head))
  for (const row of cells) console.log(line(row))
  const notes = rows.filter(({ note }) => note)
  if (notes.length > 0) console.log('')
  for (const { name, note } of notes) console.log(`${name}: ${note}`)
}

const number = (value: number) =>
  value.toLocaleString('en', { maximumFractionDigits: value >= 100 ? 0 : value >= 10 ? 1 : 2 })
