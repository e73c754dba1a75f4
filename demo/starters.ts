import { element, icon } from './dom.ts'

const starters = [
  ['sum', 'What is 123 * 456?', 'A tool call in the worker'],
  ['clock', 'Time in Tokyo, and what is 7 * 8?', 'Two calls side by side'],
  ['list', 'Add milk and bread to my to-do list', 'Kept in this browser'],
  ['palette', 'Make the page teal', 'A tool that the page carries out'],
  ['pulse', 'How does this page work?', 'A longer answer: try to interrupt it'],
  ['pen', 'Write a poem about rain', 'What it cannot do'],
] as const

/** Buttons for what the offline model can do. */
export function starterButtons(send: (text: string) => void): HTMLButtonElement[] {
  return starters.map(([name, text, what]) => {
    const button = element(
      'button',
      { className: 'starter', type: 'button' },
      icon(name),
      element('span', {}, text),
      element('small', {}, what),
    )
    button.addEventListener('click', () => send(text))
    return button
  })
}
