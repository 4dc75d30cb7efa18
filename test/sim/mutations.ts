/**
 * Planted bugs: each breaks one promise of the metastore, of the store, or of a merge, as a mistake in the product would.
 * A world that has one must show it, or the simulation proves nothing.
 */
import type { Merger } from '../../apps/compaction-worker/run-job.ts'
import { objectKey } from '#core/block/object-key.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { TwinRules } from '../support/metastore-twin/state.ts'
import type { JournalIndex } from '../../apps/metastore/journal-index.ts'
import type { JournalMode } from '../../apps/segment-writer/journal.ts'
import type { FaultClass } from './faults.ts'
import { withOverrides } from '../support/overrides.ts'
import { JOURNAL_PREFIX } from '#platform/journal.ts'
import { overlooking, type ProcessPorts } from './services.ts'
import type { ViolationKind } from './violation.ts'

export interface Mutation {
  readonly name: string
  /** How it may show. */
  readonly shows: readonly ViolationKind[]
  readonly rules?: Partial<TwinRules>
  /** For what needs several faults at once: so many calls between processes meet one. */
  readonly linkPercent?: number
  /** Likewise: so many who were given a job or a tombstone stop for longer than their lease. */
  readonly claimStopsPercent?: number
  /** The faults it needs, where others only hide it. */
  readonly classes?: readonly FaultClass[]
  /** How long its worlds have faults; what takes two leases needs longer than most. */
  readonly activeMs?: number
  readonly writer?: (ports: ProcessPorts) => ProcessPorts
  readonly worker?: (ports: ProcessPorts) => ProcessPorts
  readonly merger?: (merger: Merger) => Merger
  readonly index?: (index: JournalIndex) => JournalIndex
  readonly writerClock?: (clock: Clock) => Clock
  /** Of all its worlds, instead of drawn. */
  readonly journal?: JournalMode
  readonly threads?: number
  readonly orphanGraceMs?: number
  readonly rebuildPercent?: number
  /** A world that has shown it: tried before all others, of which it may take a hundred. */
  readonly likelySeed?: number
}

const NEVER = Promise.withResolvers<void>().promise

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'a repeated commit is a new one',
    shows: ['lost', 'verdict', 'not-durable', 'live-deleted'],
    rules: { findsReplays: false },
  },
  {
    name: 'the verdict of a replay differs',
    shows: ['verdict'],
    rules: { repeatsVerdicts: false },
    linkPercent: 30,
  },
  { name: 'duplicates are not decided', shows: ['counted-twice'], rules: { dedupes: false } },
  {
    name: 'the epoch is not checked',
    likelySeed: 62,
    shows: ['zombie'],
    rules: { checksTerms: false },
    claimStopsPercent: 40,
  },
  {
    name: 'the liveness of sources is not checked',
    shows: ['returned', 'counted-twice'],
    rules: { checksSources: false },
  },
  { name: 'sources stay live', shows: ['counted-twice'], rules: { retiresSources: false } },
  {
    name: 'the skip list is lost',
    shows: ['sums', 'counted-twice'],
    rules: { namesSkips: false, checksBalance: false },
  },
  { name: 'a planner goes on after its lease', shows: ['zombie', 'shared-source'], rules: { fencesPlanner: false } },
  { name: 'deletion before the grace', shows: ['grace'], rules: { keepsGrace: false } },
  {
    name: 'an old claim confirms a deletion',
    likelySeed: 5,
    shows: ['zombie'],
    rules: { leasesTombstones: false },
    claimStopsPercent: 40,
    activeMs: 60_000,
  },
  {
    name: 'a late commit has published output deleted',
    shows: ['live-deleted', 'grace'],
    rules: { sparesPublished: false },
    classes: ['link'],
    linkPercent: 30,
    activeMs: 40_000,
  },
  { name: 'label sets are dropped', shows: ['labels'], rules: { keepsLabelSets: false } },
  {
    name: 'label sets of before a deletion count as sent',
    likelySeed: 11,
    shows: ['labels'],
    rules: { checksLabelEpoch: false },
  },
  {
    name: 'a merge brings a deleted tenant back',
    likelySeed: 7,
    shows: ['returned'],
    rules: { checksIncarnations: false },
  },
  { name: 'a late commit brings expired data back', shows: ['returned'], rules: { keepsBounds: false } },
  { name: 'a failing job is parked whole', likelySeed: 11, shows: ['parked'], rules: { bisects: false } },
  {
    name: 'an orphan is deleted before its id is retired',
    likelySeed: 8,
    shows: ['not-durable', 'live-deleted'],
    rules: { registersOrphans: false },
    linkPercent: 20,
  },
  { name: 'leases never run out', likelySeed: 8, shows: ['never-ends'], rules: { expiresLeases: false } },
  {
    name: 'the writer acknowledges before the commit',
    shows: ['lost'],
    writer: (ports) => ({
      ...ports,
      metastore: withOverrides(ports.metastore, {
        async commitSegment(request) {
          void ports.metastore.commitSegment(request).catch(() => undefined)
          return { verdict: 'committed', skips: [] }
        },
      }),
    }),
  },
  {
    name: 'the commit does not wait for the object',
    shows: ['not-durable'],
    writer: (ports) => ({
      ...ports,
      store: withOverrides(ports.store, {
        async put(key, body) {
          void ports.store.put(key, body).catch(() => undefined)
        },
      }),
    }),
  },
  {
    name: 'a merge leaves out a source, and only single sources come through',
    shows: ['parked', 'never-ends'],
    merger: (inner) => ({
      ...inner,
      merge: (task) =>
        inner.merge({
          ...task,
          groups: task.groups.map((group) =>
            group.inputs.length > 1 ? { ...group, inputs: group.inputs.slice(1) } : group,
          ),
        }),
    }),
  },
  {
    name: 'a worker overlooks a source, and the commit does not count',
    shows: ['sums', 'lost'],
    rules: { checksBalance: false },
    worker: (ports) => ({ ...ports, metastore: overlooking(ports.metastore, () => true) }),
  },
  {
    name: 'a worker overlooks a source of every job',
    shows: ['parked', 'never-ends'],
    worker: (ports) => ({ ...ports, metastore: overlooking(ports.metastore, () => true) }),
  },
  {
    name: 'the journal stands for a commit before it is durable',
    shows: ['lost'],
    journal: 'acknowledge',
    linkPercent: 40,
    writer: (ports) => ({
      ...ports,
      store: withOverrides(ports.store, {
        async put(key, body) {
          if (!key.startsWith(JOURNAL_PREFIX)) await ports.store.put(key, body)
        },
      }),
    }),
  },
  {
    name: 'an entry of the journal is deleted before its commit is known',
    shows: ['lost'],
    journal: 'acknowledge',
    linkPercent: 40,
    index: (index) => ({ ...index, commitSegment: async () => 'committed' }),
  },
  {
    name: 'the search for orphans does not ask the journal',
    shows: ['lost', 'not-durable', 'live-deleted'],
    journal: 'acknowledge',
    linkPercent: 40,
    rules: { sparesJournalled: false },
    orphanGraceMs: 1_500,
  },
  {
    name: 'a rebuild compares no profile ids',
    shows: ['counted-twice'],
    rules: { comparesContested: false },
    rebuildPercent: 100,
    linkPercent: 20,
  },
  {
    name: 'a rebuild does not ask which incarnation died',
    shows: ['returned'],
    rules: { asksFate: false },
    rebuildPercent: 100,
  },
  {
    name: 'a thread that hangs is not noticed',
    shows: ['never-ends'],
    threads: 2,
    classes: ['thread'],
    writerClock: (clock) => ({
      nowMs: () => clock.nowMs(),
      // What looks after threads sleeps so long, and nothing else of a writer.
      sleep: (durationMs, signal) => (durationMs === 10_000 ? NEVER : clock.sleep(durationMs, signal)),
    }),
  },
  {
    name: 'the worker deletes sources itself, once its output is committed',
    shows: ['grace', 'live-deleted'],
    worker: (ports) => deletingSources(ports, 'after'),
  },
  {
    name: 'sources are given up before the commit',
    shows: ['live-deleted'],
    worker: (ports) => deletingSources(ports, 'before'),
  },
]

function deletingSources(ports: ProcessPorts, when: 'before' | 'after'): ProcessPorts {
  const sourcesOf = new Map<string, string[]>()
  const drop = (jobId: string): void => {
    for (const objectId of sourcesOf.get(jobId) ?? [])
      void ports.store.delete(objectKey(objectId)).catch(() => undefined)
  }
  const metastore = withOverrides(ports.metastore, {
    async pollJobs(request) {
      const answer = await ports.metastore.pollJobs(request)
      for (const { jobId, sources } of answer.jobs)
        sourcesOf.set(
          jobId,
          sources.map(({ objectId }) => objectId),
        )
      return answer
    },
    async commitCompaction(request) {
      if (when === 'before') drop(request.jobId)
      const answer = await ports.metastore.commitCompaction(request)
      if (when === 'after' && answer.verdict === 'committed') drop(request.jobId)
      return answer
    },
  })
  return { ...ports, metastore }
}
