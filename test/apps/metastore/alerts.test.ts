/** Alert rules: what Prometheus says of them, and whether a metastore says all that they ask for. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Metastore } from '#core/rpc/metastore.ts'
import { Registry } from '#platform/metrics/registry.ts'
import { createStoreMeter } from '#platform/metrics/metered-store.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { addJournalMetrics } from '../../../apps/metastore/journal.ts'
import { meterQueue } from '../../../apps/metastore/queue-metrics.ts'
import { addStatusMetrics } from '../../../apps/metastore/status-metrics.ts'
import { openGuards } from '../../../apps/query-frontend/frontend-metrics.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { makeBadNight, makeQuietReport } from '../../support/status-report.ts'

const ALERTS = join(import.meta.dirname, '../../../apps/metastore/alerts')
const RULES = readFileSync(join(ALERTS, 'cinderblock.rules.yml'), 'utf8')

const absent = spawnSync('promtool', ['--version']).status === 0 ? false : 'promtool is not installed'

function promtool(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: ALERTS, encoding: 'utf8' })
  assert.equal(status, 0, `${stdout}${stderr}`)
  return stdout + stderr
}

async function metricsOf(report: ReturnType<typeof makeQuietReport>): Promise<string> {
  const registry = new Registry()
  addStatusMetrics(registry, { getStatus: () => Promise.resolve(report) })
  addJournalMetrics(registry, { standing: () => ({ entries: 1, recovered: 2, quarantined: 3, isOld: false }) })
  openGuards(new HandClock(), registry, createSilentLog())
  meterQueue({} as Metastore, registry)
  const store = createStoreMeter(registry).meter(createMemoryStore())
  await store.put('a/b', new Uint8Array(1))
  return await registry.render()
}

test('the rules are valid, fire at their thresholds and not before, ten minutes without compaction among them (H47) (needs promtool)', {
  skip: absent,
}, () => {
  assert.match(promtool('check', 'rules', 'cinderblock.rules.yml'), /SUCCESS: 17 rules found/)
  assert.match(promtool('test', 'rules', 'cinderblock.test.yml'), /SUCCESS/)
})

test('the text of a scrape is valid, of a quiet night and of a bad one (needs promtool)', {
  skip: absent,
}, async () => {
  for (const report of [makeQuietReport(), makeBadNight()]) {
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: await metricsOf(report),
      encoding: 'utf8',
    })
    assert.equal(`${stdout}${stderr}`, '')
    assert.equal(status, 0)
  }
})

test('every metric that a rule asks for is there', async () => {
  const known = new Set([...(await metricsOf(makeBadNight())).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name))
  const asked = new Set(RULES.match(/\bcinder_[a-z_]+/g))
  assert.ok(asked.size >= 11)
  assert.deepEqual(
    [...asked].filter((name) => !known.has(name)),
    [],
  )
})

test('gauges say what the report says, and forget what has gone', async () => {
  const bad = await metricsOf(makeBadNight())
  for (const line of [
    'cinder_compaction_oldest_input_age_seconds 725',
    'cinder_jobs_parked 140',
    'cinder_tombstones_overdue 39000',
    'cinder_restore_detected 1',
    'cinder_lease_held{lease="planning"} 0',
    'cinder_duty_failures{duty="cleaning"} 5',
    'cinder_compaction_workers 1',
    'pyroscope_metastore_compaction_scheduler_queue_jobs{level="0",status="unassigned"} 212',
    'cinder_compaction_backlog_age_seconds{level="1"} 180',
  ]) {
    assert.ok(bad.includes(`\n${line}\n`), line)
  }
  const registry = new Registry()
  let report = makeBadNight()
  addStatusMetrics(registry, { getStatus: () => Promise.resolve(report) })
  assert.match(await registry.render(), /queue_jobs\{level="4"/)
  report = makeQuietReport()
  assert.doesNotMatch(await registry.render(), /queue_jobs\{level="4"/)
})

test('a change of holder is counted once', async () => {
  const registry = new Registry()
  let holder = 'a'
  const [planning] = makeQuietReport().leases
  addStatusMetrics(registry, {
    getStatus: () => Promise.resolve({ ...makeQuietReport(), leases: [{ ...planning!, holder }] }),
  })
  await registry.render()
  await registry.render()
  holder = 'b'
  await registry.render()
  assert.match(await registry.render(), /^cinder_lease_holder_changes_total\{lease="planning"\} 1$/m)
})
