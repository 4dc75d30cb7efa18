import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findConcerns } from '#core/status/concerns.ts'
import { escapeHtml, renderStatusPage } from '#platform/http/status-page.ts'
import { HOSTILE, makeBadNight, makeQuietReport } from '../../../support/status-report.ts'

const badNight = { ...makeBadNight(), concerns: findConcerns(makeBadNight()) }

/** Tags and attributes as a parser of HTML sees them; texts between them are dropped. */
function tagsOf(html: string): string[] {
  return html.replace(/<style>.*?<\/style>/s, '').match(/<[a-z!/][^>]*>/gi) ?? []
}

test('names, reasons and errors of others never become markup, in any view', () => {
  for (const view of ['status', 'jobs', 'ring'] as const) {
    const html = renderStatusPage(badNight, { view, refreshSeconds: 5 })
    assert.ok(html.includes(escapeHtml(HOSTILE)), `${view} shows the name`)
    assert.ok(!html.includes(HOSTILE))
    for (const tag of tagsOf(html)) {
      assert.match(
        tag,
        /^<\/?(!doctype|html|head|meta|title|style|body|header|strong|nav|b|a|span|main|h1|h2|ul|li|i|p|dl|div|dt|dd|section|small|table|thead|tbody|tr|th|td)\b/i,
      )
      assert.doesNotMatch(tag, /onerror|javascript:|src=/)
    }
  }
})

test('escaping leaves no character that HTML reads', () => {
  assert.equal(escapeHtml(`<a href="x" id='y'>&amp;`), '&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp;')
})

test('the page needs nothing from elsewhere and runs nothing', () => {
  const html = renderStatusPage(badNight, { view: 'status', refreshSeconds: 5 })
  assert.doesNotMatch(html, /<script|<link|<iframe|url\(|@import|https?:\/\/(?!10\.0\.0\.)/)
})

test('it loads itself anew, unless it is paused', () => {
  assert.match(renderStatusPage(badNight, { view: 'jobs', refreshSeconds: 5 }), /http-equiv="refresh" content="5"/)
  const paused = renderStatusPage(badNight, { view: 'jobs', refreshSeconds: 0 })
  assert.doesNotMatch(paused, /http-equiv="refresh"/)
  assert.match(paused, /paused · <a href="\/compactor\/jobs">resume<\/a>/)
})

test('the title says how it stands, the worst first below it', () => {
  assert.match(
    renderStatusPage(makeQuietReport(), { view: 'ring', refreshSeconds: 5 }),
    /<title>🟢 Workers · Cinderblock/,
  )
  const html = renderStatusPage(badNight, { view: 'status', refreshSeconds: 5 })
  assert.match(html, /<title>🔴 Status/)
  assert.match(html, /<ul class="concerns" role="alert"><li class="banner bad"><b>critical<\/b> <i>restore:<\/i>/)
})

test('a fraction out of its range stays inside its bar', () => {
  const running = badNight.running.map((job, i) => ({ ...job, progress: i === 0 ? 7 : -1 }))
  const html = renderStatusPage({ ...badNight, running }, { view: 'jobs', refreshSeconds: 0 })
  assert.match(html, /width:100%/)
  assert.match(html, /width:0%/)
})
