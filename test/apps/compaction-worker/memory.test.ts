import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { JOB_BUDGET_BYTES } from '../../../apps/compaction-worker/run-job.ts'
import { MIB } from '#core/units.ts'
import { openFilesystemStore } from '#platform/object-store/filesystem.ts'
import { storeBomb, storeLargeJob } from '../../bench/compaction-corpus.ts'
import type { ProgramInput, ProgramOutput } from '../../bench/compaction-program.ts'

const rootDir = mkdtempSync(join(tmpdir(), 'cinder-memory-'))
after(() => rmSync(rootDir, { recursive: true, force: true }))

/** Code, threads and a heap that is collected now and then: what a worker has before its first byte of input. */
const PROCESS_BYTES = 120 * MIB
const SLOW = { timeout: 120_000 }

/** A worker process of its own: its resident memory is nobody else's. */
function runJobs(jobs: ProgramInput['jobs']): ProgramOutput {
  const program = fileURLToPath(new URL('../../bench/compaction-program.ts', import.meta.url))
  const input = JSON.stringify({ rootDir, rounds: 1, jobs } satisfies ProgramInput)
  const { stdout, stderr, status } = spawnSync(process.execPath, [program], { input, maxBuffer: 1 << 28 })
  assert.equal(status, 0, stderr.toString())
  return JSON.parse(stdout.toString()) as ProgramOutput
}

test('a large job takes at most eight times its input, whatever its rows would take (H43)', SLOW, async () => {
  const sources = await storeLargeJob(await openFilesystemStore(rootDir), 6)
  const inputBytes = sources.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const { peakBytes, outputs } = runJobs([{ level: 1, sources }])
  assert.equal(outputs[0]!.length, 1)
  assert.ok(inputBytes > 24 * MIB, `${inputBytes} bytes of input`)
  assert.ok(peakBytes <= 8 * inputBytes, `${Math.round(peakBytes / MIB)} MiB for ${Math.round(inputBytes / MIB)} MiB`)
})

test('half a million distinct stacks in a few megabytes stay within the budget of a job (H43)', SLOW, async () => {
  const sources = await storeBomb(await openFilesystemStore(rootDir), 0.5)
  const { peakBytes, outputs } = runJobs([{ level: 1, sources }])
  const profiles = outputs[0]!.flatMap(({ datasets }) => datasets.map(({ descriptor }) => descriptor.profileCount))
  assert.equal(
    profiles.reduce((sum, count) => sum + count, 0),
    80,
  )
  assert.ok(peakBytes <= JOB_BUDGET_BYTES + PROCESS_BYTES, `${Math.round(peakBytes / MIB)} MiB`)
})
