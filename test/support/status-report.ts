/** Status reports for tests: one of a quiet service, and one of a bad night with hostile names. */
import type { StatusReport } from '#core/rpc/status.ts'
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND, MIB } from '#core/units.ts'

export const NOW_MS = Date.UTC(2026, 10, 21, 3, 0, 0)
export const HOSTILE = `<img src=x onerror=alert(1)>"'&\u0007`

const ago = (durationMs: number) => NOW_MS - durationMs

export function makeQuietReport(): StatusReport {
  return {
    nowMs: NOW_MS,
    version: '1.2.3',
    instanceId: 'replica-a',
    startedMs: ago(MS_PER_DAY),
    database: {
      state: 'ok',
      sinceMs: 0,
      words: 'the database answers',
      lastError: '',
      serverVersion: '15.4',
      schemaVersion: 7,
    },
    concerns: [],
    failed: [],
    backlog: [level(1, { waiting: 3, waitingBytes: 90_000, queued: 1, queuedBytes: MIB, oldestMs: ago(1_400) })],
    oldestInputMs: ago(1_400),
    running: [],
    runningTotal: 0,
    parked: [],
    parkedTotal: 0,
    leases: [
      {
        name: 'planning',
        holder: 'replica-a',
        epoch: 4,
        sinceMs: ago(2 * MS_PER_HOUR),
        expiresMs: NOW_MS + 4_000,
        isHeld: true,
      },
      {
        name: 'cleaning',
        holder: 'replica-b',
        epoch: 812,
        sinceMs: ago(40_000),
        expiresMs: ago(39_000),
        isHeld: false,
      },
    ],
    duties: [
      {
        name: 'cleaning',
        holder: 'replica-b',
        isRunning: false,
        startedMs: ago(40_000),
        finishedMs: ago(39_960),
        nextDueMs: NOW_MS - 9_960 + 20_000,
        failures: 0,
        lastError: '',
        lastErrorMs: 0,
      },
    ],
    workers: [worker('worker-1', { runningJobs: [] })],
    writers: [],
    tombstones: {
      queued: 41,
      due: 0,
      overdue: 0,
      oldestDueMs: NOW_MS + MS_PER_MINUTE,
      deleting: 0,
      refused: 0,
      refusal: '',
    },
    deletions: [],
    restore: { state: 'none', words: '', sinceMs: 0 },
    retentionDefaultMs: 31 * MS_PER_DAY,
  }
}

export function makeBadNight(): StatusReport {
  const quiet = makeQuietReport()
  return {
    ...quiet,
    backlog: [
      level(1, {
        waiting: 18_430,
        waitingBytes: 4_100 * MIB,
        queued: 212,
        queuedBytes: 900 * MIB,
        running: 2,
        runningBytes: 61 * MIB,
        parked: 1,
        parkedBytes: 30 * MIB,
        oldestMs: ago(12 * MS_PER_MINUTE),
      }),
      level(2, { queued: 9, queuedBytes: 300 * MIB, oldestMs: ago(3 * MS_PER_MINUTE) }),
      level(5, { parked: 1, parkedBytes: 12 * MIB }),
    ],
    oldestInputMs: ago(12 * MS_PER_MINUTE + 5 * MS_PER_SECOND),
    running: [
      {
        jobId: '88123',
        level: 1,
        holder: 'worker-1',
        epoch: 2,
        expiresMs: NOW_MS + 9_000,
        createdMs: ago(60_000),
        sources: 32,
        sizeBytes: 31 * MIB,
        failures: 0,
        progress: 0.62,
        startedMs: ago(4_000),
      },
      {
        jobId: '88124',
        level: 1,
        holder: HOSTILE,
        epoch: 3,
        expiresMs: ago(2_000),
        createdMs: ago(90_000),
        sources: 20,
        sizeBytes: 30 * MIB,
        failures: 2,
        progress: 0.05,
        startedMs: ago(17_000),
      },
    ],
    runningTotal: 2,
    parked: [
      {
        jobId: '7001',
        level: 1,
        sources: 1,
        sizeBytes: 30 * MIB,
        failures: 3,
        createdMs: ago(5 * MS_PER_HOUR),
        tenant: HOSTILE,
        reason: `section "samples" of dataset 3: checksum differs ${HOSTILE}`,
      },
    ],
    parkedTotal: 140,
    leases: [{ ...quiet.leases[0]!, isHeld: false, expiresMs: ago(90_000) }],
    duties: [
      { ...quiet.duties[0]!, failures: 5, lastError: `canceling statement ${HOSTILE}`, lastErrorMs: ago(60_000) },
    ],
    workers: [
      worker('worker-1', { runningJobs: ['88123'], usedBytes: 700 * MIB }),
      worker(HOSTILE, { runningJobs: ['88124'], isAlive: false, lastSeenMs: ago(100_000) }),
    ],
    writers: [
      {
        writerId: HOSTILE,
        address: 'http://10.0.0.7:4042',
        epoch: 9,
        expiresMs: NOW_MS + 4_000,
        state: 'leaving',
        registeredMs: ago(MS_PER_HOUR),
        slots: 256,
        bytesPerSecond: 3 * MIB,
        profilesPerSecond: 4.25,
      },
    ],
    placement: {
      generation: 1_760_000_007,
      changedMs: ago(60_000),
      slots: 1_024,
      services: [
        { tenant: 't', service: HOSTILE, width: 12, writers: 10, bytesPerSecond: 20 * MIB, profilesPerSecond: 1_000 },
      ],
      servicesTotal: 2,
    },
    tombstones: {
      queued: 51_200,
      due: 40_000,
      overdue: 39_000,
      oldestDueMs: ago(3 * MS_PER_HOUR),
      deleting: 100,
      refused: 100,
      refusal: `AccessDenied ${HOSTILE}`,
    },
    deletions: [
      {
        kind: 'tenant',
        tenant: HOSTILE,
        service: '',
        state: 'removing',
        effectiveMs: ago(60_000),
        detail: '12 of 90 objects gone',
      },
      {
        kind: 'retention',
        tenant: 'team-a',
        service: HOSTILE,
        state: 'announced',
        effectiveMs: NOW_MS + 20 * MS_PER_HOUR,
        detail: 'from 31 d to 7 d',
      },
    ],
    restore: { state: 'behind', words: 'the database is behind the bucket: nothing is deleted', sinceMs: ago(60_000) },
  }
}

function level(output: number, rest: Partial<StatusReport['backlog'][number]>): StatusReport['backlog'][number] {
  const none = { waiting: 0, waitingBytes: 0, queued: 0, queuedBytes: 0, running: 0, runningBytes: 0 }
  return { level: output, ...none, parked: 0, parkedBytes: 0, oldestMs: 0, ...rest }
}

function worker(workerId: string, rest: Partial<StatusReport['workers'][number]>): StatusReport['workers'][number] {
  return {
    workerId,
    address: 'http://10.0.0.5:4044',
    version: '1.2.3',
    threads: 4,
    capacity: 4,
    budgetBytes: 2_048 * MIB,
    usedBytes: 0,
    registeredMs: ago(MS_PER_DAY),
    lastSeenMs: ago(2_000),
    expiresMs: NOW_MS + 40_000,
    isAlive: true,
    runningJobs: [],
    ...rest,
  }
}
