/**
 * A status report as one page of HTML: no script, no asset, readable in the dark, on a phone and in a text browser. It
 * loads itself anew every five seconds unless `?refresh=0` says otherwise.
 *
 * Every text is escaped where it is written, whoever it comes from: names of tenants, services, workers and reasons are
 * chosen by others. Nothing of a report becomes a tag, an attribute's name or a style; numbers in styles are made here.
 */
import type { Concern, StatusReport } from '#core/rpc/status.ts'
import { type Cell, statusFacts, type StatusTable, type StatusView, TABLES_OF_VIEW } from '#core/status/tables.ts'

export interface PageOptions {
  readonly view: StatusView
  /** 0 = it stays as it is. */
  readonly refreshSeconds: number
}

export const REFRESH_SECONDS_DEFAULT = 5

const VIEWS: readonly { readonly view: StatusView; readonly path: string; readonly title: string }[] = [
  { view: 'status', path: '/status', title: 'Status' },
  { view: 'jobs', path: '/compactor/jobs', title: 'Compaction jobs' },
  { view: 'ring', path: '/compactor/ring', title: 'Workers' },
  { view: 'writers', path: '/distributor/ring', title: 'Writers' },
]

export function renderStatusPage(report: StatusReport, { view, refreshSeconds }: PageOptions): string {
  const { title, path } = VIEWS.find((each) => each.view === view)!
  const refresh = refreshSeconds > 0 ? `<meta http-equiv="refresh" content="${Math.ceil(refreshSeconds)}">` : ''
  const tables = TABLES_OF_VIEW[view].map((make) => renderTable(make(report))).join('\n')
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
${refresh}
<title>${markOf(report.concerns)} ${title} · Cinderblock</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<strong class="brand">Cinderblock</strong>
<nav>${VIEWS.map((each) => renderLink(each, view)).join('')}</nav>
<span class="tools">${renderTools(path, refreshSeconds)}</span>
</header>
<main>
<h1>${title}</h1>
${renderConcerns(report.concerns)}
${view === 'status' ? renderFacts(report) : ''}
${tables}
</main>
</body>
</html>
`
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character]!)
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** In the title, so that a row of tabs shows where to look. */
function markOf(concerns: readonly Concern[]): string {
  if (concerns.some(({ severity }) => severity === 'critical')) return '🔴'
  return concerns.length > 0 ? '🟡' : '🟢'
}

function renderLink({ view, path, title }: (typeof VIEWS)[number], current: StatusView): string {
  return view === current ? `<b aria-current="page">${title}</b>` : `<a href="${path}">${title}</a>`
}

function renderTools(path: string, refreshSeconds: number): string {
  const other = refreshSeconds > 0 ? `<a href="${path}?refresh=0">pause</a>` : `<a href="${path}">resume</a>`
  const how = refreshSeconds > 0 ? `every ${Math.ceil(refreshSeconds)} s` : 'paused'
  return `${how} · ${other} · <a href="${path}?format=json">JSON</a>`
}

function renderConcerns(concerns: readonly Concern[]): string {
  if (concerns.length === 0) return '<p class="banner good">All is well.</p>'
  const items = concerns.map(({ severity, subject, text }) => {
    const tone = severity === 'critical' ? 'bad' : 'warn'
    return `<li class="banner ${tone}"><b>${escapeHtml(severity)}</b> <i>${escapeHtml(subject)}:</i> ${escapeHtml(text)}</li>`
  })
  return `<ul class="concerns" role="alert">${items.join('')}</ul>`
}

function renderFacts(report: StatusReport): string {
  const items = statusFacts(report).map(([name, cell]) => `<div><dt>${name}</dt><dd>${renderText(cell)}</dd></div>`)
  return `<dl class="facts">${items.join('')}</dl>`
}

function renderTable(table: StatusTable): string {
  const title = `<h2 id="${table.id}">${table.title}${table.rows.length > 0 ? ` <small>${table.rows.length}</small>` : ''}</h2>`
  if (table.rows.length === 0) return `<section>${title}<p class="empty">${table.empty}</p></section>`
  const head = table.columns.map(({ name, isNumber }) => `<th scope="col"${numberClass(isNumber)}>${name}</th>`)
  const rows = table.rows.map((row) => {
    const cells = row.map((cell, i) => `<td${numberClass(table.columns[i]!.isNumber)}>${renderText(cell)}</td>`)
    return `<tr>${cells.join('')}</tr>`
  })
  const note = table.note === '' ? '' : `<p class="empty">${escapeHtml(table.note)}</p>`
  return `<section>${title}<div class="scroll"><table><thead><tr>${head.join('')}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>${note}</section>`
}

function numberClass(isNumber: boolean): string {
  return isNumber ? ' class="number"' : ''
}

function renderText({ text, tone, fraction }: Cell): string {
  const shown = `<span class="${tone}">${escapeHtml(text)}</span>`
  if (fraction === undefined) return shown
  const percent = Math.round(Math.min(1, Math.max(0, fraction)) * 100)
  return `<span class="bar" aria-hidden="true"><span style="width:${percent}%"></span></span>${shown}`
}

/** Tones keep a contrast of 4.5 to 1 on both grounds. Digits are of one width, so that columns can be compared. */
const STYLE = `
:root{color-scheme:light dark;--ground:#fbfaf8;--card:#fff;--ink:#1d1b18;--soft:#6a645b;--line:#e5e0d8;--good:#1a7340;--warn:#8f5600;--bad:#b3261e;--goodbg:#e7f4ea;--warnbg:#fdf1dc;--badbg:#fce8e6;--accent:#a33b12}
@media (prefers-color-scheme:dark){:root{--ground:#151413;--card:#1d1b1a;--ink:#eae6e0;--soft:#a39b90;--line:#35312d;--good:#6fcf8f;--warn:#f0b45a;--bad:#ff8a80;--goodbg:#16291c;--warnbg:#33260f;--badbg:#3a1613;--accent:#ff9466}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.45 system-ui,-apple-system,"Segoe UI",sans-serif;font-variant-numeric:tabular-nums}
header{display:flex;flex-wrap:wrap;gap:.4rem 1.5rem;align-items:baseline;padding:.7rem 1.5rem;background:var(--card);border-bottom:1px solid var(--line)}
.brand{color:var(--accent);letter-spacing:.01em}
nav{display:flex;gap:1.1rem}
nav b{border-bottom:2px solid var(--accent)}
a{color:inherit;text-decoration-color:var(--line);text-underline-offset:3px}
a:hover{text-decoration-color:currentColor}
.tools{margin-left:auto;color:var(--soft);font-size:.87rem}
main{max-width:92rem;margin:0 auto;padding:1.1rem 1.5rem 3rem}
h1{font-size:1.25rem;margin:.2rem 0 .8rem}
h2{font-size:1rem;margin:0 0 .45rem}
h2 small{color:var(--soft);font-weight:400}
.concerns{list-style:none;margin:0;padding:0;display:grid;gap:.4rem}
.banner{margin:0;padding:.55rem .9rem;border-radius:.4rem;border-left:4px solid}
.banner b{text-transform:uppercase;font-size:.78rem;letter-spacing:.05em}
.banner i{font-style:normal;font-weight:600}
.banner.good{background:var(--goodbg);color:var(--good)}
.banner.warn{background:var(--warnbg);color:var(--warn)}
.banner.bad{background:var(--badbg);color:var(--bad)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(12rem,1fr));gap:.8rem;margin:1rem 0 0}
.facts div{background:var(--card);border:1px solid var(--line);border-radius:.4rem;padding:.5rem .8rem;min-width:0}
dt{color:var(--soft);font-size:.8rem}
dd{margin:0;overflow-wrap:anywhere}
section{margin-top:1.6rem}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.4rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.4rem .8rem;border-top:1px solid var(--line);vertical-align:top;max-width:26rem;overflow-wrap:break-word}
td:first-child,td:has(.bar){white-space:nowrap}
td:first-child{max-width:18rem;overflow:hidden;text-overflow:ellipsis}
thead th{border-top:0;color:var(--soft);font-weight:500;font-size:.8rem;white-space:nowrap}
tbody tr:hover{background:color-mix(in srgb,var(--line) 35%,transparent)}
.number{text-align:right;white-space:nowrap}
.empty{color:var(--soft);margin:0}
.scroll+.empty{margin-top:.4rem}
.quiet{color:var(--soft)}
.good{color:var(--good)}
.warn{color:var(--warn)}
.bad{color:var(--bad);font-weight:600}
.bar{display:inline-block;width:4.5rem;height:.5rem;margin-right:.5rem;border-radius:.25rem;background:var(--line);overflow:hidden}
.bar span{display:block;height:100%;background:var(--accent)}
`
