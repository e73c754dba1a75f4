import type { AgentRuntime, Session } from 'turnloop'
import { byId } from './dom.ts'
import { download } from './download.ts'

/** Has the browser save the session as a document. */
export async function exportSession({ sessions }: Pick<AgentRuntime, 'sessions'>, session: Session): Promise<void> {
  const document = await sessions.export(session.id)
  const { title = 'Session' } = session.view.getSnapshot()
  download(document, `${fileName(title)}.turnloop.json`)
}

const fileName = (title: string) =>
  title
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .slice(0, 40)
    .replace(/^-+|-+$/g, '')
    .toLowerCase() || 'session'

/** Calls `take` with each document that somebody chooses. */
export function onImport(take: (document: File) => void): void {
  const chooser = byId<HTMLInputElement>('import-file')
  byId('import-session').addEventListener('click', () => chooser.click())
  chooser.addEventListener('change', () => {
    const [document] = chooser.files ?? []
    chooser.value = ''
    if (document) take(document)
  })
}
