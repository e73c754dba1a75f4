// #region questions
import type { Approval, ApprovalAnswers } from 'turnloop'
import type { runtime } from './agent.worker.ts'

type Answer = ApprovalAnswers[Approval['reason']]

/** Keeps the list filled with the questions that are open, of all sessions, in all tabs. Returns its undo. */
export function showQuestions(agent: typeof runtime, list: HTMLElement): () => void {
  const { approvals } = agent
  return approvals.subscribe(() => {
    const items = approvals.getSnapshot().map((approval) => {
      const item = document.createElement('li')
      const offer = (label: string, answer: () => Answer) => {
        const button = Object.assign(document.createElement('button'), { textContent: label })
        button.onclick = () =>
          approvals.answer(approval, answer()).catch((error: Error) => {
            item.append(error.message) // the result does not fit the tool, or another tab was faster
          })
        item.append(button)
      }
      item.append(approval.title)
      switch (approval.reason) {
        case 'interrupted':
          offer('Go on', () => ({ decision: 'resume' }))
          offer('Give up', () => ({ decision: 'abandon' }))
          break
        case 'budget':
          offer('Go on', () => ({ decision: 'extend', by: approval.cap })) // as much once more
          offer('Stop', () => ({ decision: 'stop' }))
          break
        case 'doom-loop':
          offer('Let it', () => ({ decision: 'allow-once' }))
          offer('Refuse', () => ({ decision: 'deny', reason: 'Try something else.' }))
          offer('Give up', () => ({ decision: 'abort' }))
          break
        case 'in-doubt':
          offer('Run it again', () => ({ decision: 'retry' }))
          offer('Give up', () => ({ decision: 'abandon' }))
          if (approval.toolName === 'post_letter') {
            const letter = Object.assign(document.createElement('input'), { ariaLabel: 'Number of the letter' })
            item.append(letter)
            offer('It was posted', () => ({ decision: 'supply-result', output: { letter: letter.value } }))
          }
      }
      return item
    })
    list.replaceChildren(...items)
  })
}
// #endregion
