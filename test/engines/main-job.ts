import assert from 'node:assert/strict'
import type { Demo } from '../e2e/demo.ts'
import { DemoTab } from './demo-tab.ts'
import type { DrivenBrowser } from './engine.ts'
import type { Report } from './report.ts'

/** The demo page from end to end, on its offline model, as people use it. */
export async function mainJob(browser: DrivenBrowser, demo: Demo, report: Report): Promise<void> {
  const open = async () => new DemoTab(await browser.open(demo.url))
  let heard = 0
  let complained = demo.complaints.length

  /** A scenario fails with what its pages reported, too. */
  const scenario = (name: string, act: () => Promise<void>) =>
    report.scenario(name, async () => {
      await act()
      const faults = await browser.faults()
      const found = [...faults.slice(heard), ...demo.complaints.slice(complained)]
      heard = faults.length
      complained = demo.complaints.length
      assert.deepEqual(found, [], 'the page reported errors')
    })

  await scenario('answers through a tool call, and it is there after a reload', async () => {
    const page = await open()
    await page.ask('What is 123 * 456?')
    await page.shows('123 × 456 = 56088')
    const before = await page.text()
    assert.match(before, /calculate\s[\s\S]*Done/)
    assert.equal(await page.title(), 'What is 123 * 456?')
    await page.reload()
    await page.shows('56088')
    assert.equal(await page.text(), before)
    await page.ask('What is 7 * 7?')
    await page.shows('7 × 7 = 49')
    assert.ok((await page.text()).startsWith(before.trimEnd()), 'what was there before stays')
  })

  await scenario('shows the answer while it is written, stops at once, and keeps what was written', async () => {
    const page = await open()
    await page.watch()
    await page.say('How does this page work?')
    await page.shows('Your message went to')
    await page.grown(5)
    await page.press('Stop')
    await page.idle()
    await page.shows('Stopped before the end.')
    const written = (text: string) => text.slice(0, text.indexOf('Stopped before the end.'))
    const stopped = written(await page.text())
    assert.match(stopped, /Your message went to/)
    assert.doesNotMatch(stopped, /no server behind all this/)
    await page.reload()
    await page.shows('Stopped before the end.')
    assert.equal(written(await page.text()), stopped)
  })

  await scenario('runs a tool on the page', async () => {
    const page = await open()
    const before = await page.background()
    await page.ask('Make the page teal')
    assert.match(await page.text(), /set_page_colors\s[\s\S]*Done/)
    await page.recoloured(before)
  })

  await scenario('goes on in a new worker when one was killed', async () => {
    const page = await open()
    await page.ask('What is 2 * 3?')
    await page.press('Kill worker')
    await page.ask('What is 3 * 3?')
    await page.shows('3 × 3 = 9')
    await page.shows('2 × 3 = 6')
  })

  await scenario('shows the same session in a second tab, which can go on with it', async () => {
    const page = await open()
    await page.ask('What is 123 * 456?')
    const second = new DemoTab(await browser.opened(() => page.press('Open second tab')))
    await second.shows('56088')
    assert.equal(await second.text(), await page.text())
    await second.ask('What is 8 * 8?')
    await second.shows('8 × 8 = 64')
    await page.shows('8 × 8 = 64')
    await page.idle()
    assert.equal(await page.text(), await second.text())
  })
}
