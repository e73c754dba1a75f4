// #region approvals
import type { AppOf, Approval, ApprovalAnswers } from 'turnloop'
import type { runtime } from './agent.ts'

type Question = Extract<Approval<AppOf<typeof runtime>>, { reason: 'policy' }>

/** Keeps the list filled with the calls that wait for a word, of all sessions, in all tabs. Returns its undo. */
export function showApprovals({ approvals }: typeof runtime, list: HTMLElement): () => void {
  const itemOf = (approval: Question) => {
    const item = document.createElement('li')
    const offer = (label: string, answer: () => ApprovalAnswers['policy']) => {
      const button = Object.assign(document.createElement('button'), { textContent: label })
      button.onclick = async () => {
        try {
          await approvals.answer(approval, answer())
        } catch (error) {
          item.append(String(error)) // no JSON, not of the tool's schema, or another tab was faster
        }
      }
      item.append(button)
    }
    const { title, why, risk, input, choices } = approval
    const edit = document.createElement('textarea')
    edit.value = JSON.stringify(input, null, 2) // what the model wrote: it is shown as text, never as HTML
    edit.ariaLabel = 'Arguments'
    item.append([title, why, `(${risk})`].filter(Boolean).join(' '), edit)
    offer('Allow once', () => ({ decision: 'allow-once', input: JSON.parse(edit.value) }))
    if (choices.includes('allow-always')) offer('Always allow', () => ({ decision: 'allow-always' }))
    offer('Deny', () => ({ decision: 'deny' }))
    return item
  }
  const items = new Map<string, HTMLElement>()
  return approvals.subscribe(() => {
    const questions = approvals.getSnapshot().filter((approval) => approval.reason === 'policy')
    for (const [id, item] of items) {
      if (questions.some((approval) => approval.id === id)) continue // it stays, with what was edited in it
      item.remove()
      items.delete(id)
    }
    for (const approval of questions) {
      if (items.has(approval.id)) continue
      const item = itemOf(approval)
      items.set(approval.id, item)
      list.append(item)
    }
  })
}
// #endregion
