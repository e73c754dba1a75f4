import { element, icon } from './dom.ts'

const starters = [
  ['sum', 'What is 123 * 456?', 'A tool call in the worker'],
  ['clock', 'Time in Tokyo, and what is 7 * 8?', 'Two calls side by side'],
  ['list', 'Add milk and bread to my to-do list', 'Kept in this browser'],
  ['palette', 'Make the page teal', 'A tool that the page carries out'],
  ['pulse', 'How does this page work?', 'A longer answer: try to interrupt it'],
  ['pizza', 'Order a pizza margherita', 'Kill the worker while it is baked'],
  ['shield', 'Send a mail to ann@example.com', 'You are asked before it leaves'],
  ['page', 'Read the page offers.example', 'It gives orders: see who is asked'],
  ['steps', 'Count to 20, one call a turn', 'Steer it on its way, or set a limit'],
  ['fork', 'Compare two topics with two helpers', 'Two agents at work: look in, stop one'],
  ['question', 'Find my keys', 'A loop: you are asked'],
  ['loop', 'Answer after two failures', 'Made again by itself, with pauses'],
  ['book', 'Read chapter 1', 'Then 2, 3, 4: the context fills up'],
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
