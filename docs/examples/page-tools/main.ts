import { type AppOf, connect, type ToolPart } from 'turnloop'
import type { runtime } from './agent.worker.ts'

// #region page-tools
export const agent = connect<typeof runtime>(
  () => new Worker(new URL('./agent.worker.ts', import.meta.url), { type: 'module' }),
  {
    pageTools: {
      highlight: ({ selector }) => {
        const found = document.querySelectorAll(selector)
        for (const element of found) element.classList.add('highlight')
        return { found: found.length }
      },
    },
  },
)
// #endregion

export const session = agent.session('tour')

// #region answer
export function dateField(part: ToolPart<AppOf<typeof runtime>>): HTMLElement | undefined {
  if (part.type !== 'tool-pick_date' || part.state !== 'input-available') return undefined
  const { toolCallId, input } = part
  const field = Object.assign(document.createElement('input'), { type: 'date', ariaLabel: input.question })
  field.onchange = () => session.addToolOutput({ tool: 'pick_date', toolCallId, output: { date: field.value } })
  return field
}
// #endregion
