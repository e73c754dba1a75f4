import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { clerk } from '../../docs/examples/mail/agent.ts'
import { showApprovals } from '../../docs/examples/mail/approvals.ts'
import { auditLine, showGrants } from '../../docs/examples/mail/permissions.ts'
import { waitFor } from '../wait-for.ts'

const mail = { to: 'ada@work.example', text: 'Hi' }

function start(...calls: object[]) {
  const sent: unknown[] = []
  vi.stubGlobal('fetch', async (_: string, { body }: RequestInit) => {
    sent.push(JSON.parse(String(body)))
    return Response.json({ id: 'm-1' })
  })
  onTestFinished(() => void vi.unstubAllGlobals())
  const model = scriptedModel([...calls.map((call) => reply.call('send_mail', call)), reply.text('Done.')])
  const runtime = createRuntime(clerk, { model, store: memoryStore() })
  onTestFinished(() => runtime.close())
  const session = runtime.session('inbox')
  const list = document.createElement('ul')
  onTestFinished(showApprovals(runtime, list))
  const run = session.send('Write to Ada')
  const click = async (label: string) => {
    const button = () => [...list.querySelectorAll('button')].find(({ textContent }) => textContent === label)
    await waitFor(() => expect(button()).toBeDefined())
    button()?.click()
  }
  const edit = async (text: string) => {
    await waitFor(() => expect(list.querySelector('textarea')).not.toBeNull())
    const field = list.querySelector('textarea') as HTMLTextAreaElement
    field.value = text
  }
  return { runtime, session, list, run, sent, click, edit }
}

describe.runIf(typeof document === 'object')('the list of calls that wait for a word', () => {
  it('shows what is asked, and lets the call start', async () => {
    const { list, run, sent, click } = start(mail)
    await waitFor(() => expect(list.textContent).toContain('Allow “Send a mail”? (sensitive)'))
    expect(sent).toEqual([])
    await click('Allow once')
    await run.result
    expect(sent).toEqual([mail])
    await waitFor(() => expect(list.children).toHaveLength(0)) // the list follows in the next frame
  })

  it('takes an edit, and says what is wrong with one that does not fit', async () => {
    const { list, run, sent, click, edit } = start(mail)
    await edit('{ "to": "Ada" }')
    await click('Allow once')
    await waitFor(() => expect(list.textContent).toContain('does not fit the inputSchema'))
    await edit(JSON.stringify({ ...mail, text: 'Hello' }))
    await click('Allow once')
    await run.result
    expect(sent).toEqual([{ ...mail, text: 'Hello' }])
  })

  it('denies', async () => {
    const { run, sent, click } = start(mail)
    await click('Deny')
    expect((await run.result).text).toBe('Done.')
    expect(sent).toEqual([])
  })

  it('allows for good, which is listed until it is taken back; the audit trail says so', async () => {
    const { runtime, session, run, sent, click } = start(mail, { ...mail, text: 'Again' })
    const grants = document.createElement('ul')
    onTestFinished(showGrants(session, grants))
    await click('Always allow')
    await run.result
    expect(sent).toHaveLength(2)
    await waitFor(() => expect(grants.textContent).toBe('send_mail: work.exampleRevoke'))
    grants.querySelector('button')?.click()
    await waitFor(() => expect(grants.children).toHaveLength(0))
    const lines = (await runtime.runs.audit(run.runId)).map(auditLine)
    expect(lines).toContainEqual(expect.stringMatching(/Z send_mail: allowed by person \(allow-always\)$/))
    expect(lines).toContainEqual(expect.stringMatching(/Z send_mail: allowed by grant$/))
  })
})
