/**
 * A world: writers, metastore replicas, compaction workers, agents and readers over one store and one database, all on
 * one virtual clock, with faults of every class until it heals. Everything in it follows from its seed.
 *
 * 1. Active: agents push, readers ask, retention takes datasets away, processes crash and stop for a while.
 * 2. Healed: every process runs, no call fails. All that was begun must end: pushes, jobs, deletions.
 * 3. Final: every tenant is asked for everything, and the book of pushes must agree, profile by profile.
 * The first violation ends the world.
 */
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { WriteRequest, WriteResponse } from '#core/rpc/segment-writer.ts'
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import { createDigest } from '#platform/digest.ts'
import { QUARANTINE_PREFIX } from '#platform/journal.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import type { SegmentWriterService } from '../../apps/segment-writer/app.ts'
import { createMemoryMetastore, type MemoryMetastore } from '../support/memory-metastore.ts'
import { retryParked } from '../support/metastore-twin/jobs.ts'
import { callOver } from './call.ts'
import { Checker } from './checker.ts'
import { runClient } from './client.ts'
import { Dice } from './dice.ts'
import { checkEnd, type Ends, openEnds } from './ends.ts'
import { drawTrouble, Faults, type JobTrouble } from './faults.ts'
import { boundsOf, judgeTree, Ledger, totalOfTree } from './ledger.ts'
import { Life } from './life.ts'
import { drawModes, type Modes } from './modes.ts'
import { changeRetention, deleteTenants, loseDatabase, retireDatasets } from './operators.ts'
import { SIM_JOB_POLICY, SIM_TWIN } from './policies.ts'
import { type DatabaseDeps, metastoreFor, Replica } from './replica.ts'
import { Scheduler } from './scheduler.ts'
import {
  createSimMerger,
  overlooking,
  type ProcessPorts,
  type Query,
  type QueryPorts,
  queryTotal,
  queryTree,
  startWorker,
  startWriter,
} from './services.ts'
import { createSimCodec } from './sim-codec.ts'
import { journalledIn, storeFor } from './sim-store.ts'
import { Trace } from './trace.ts'
import type { WorldReport, WorldSpec } from './world-report.ts'
import { type Seen, Violation } from './violation.ts'
import { WriterThreads } from './writer-threads.ts'

/** A quarter past an hour: the hours before are closed. */
const START_MS = Math.floor(1_760_000_400_000 / MS_PER_HOUR) * MS_PER_HOUR + 15 * 60_000
const ACTIVE_MS = 20_000
/** Three leases, three backoffs and a grace: what does not end in this time never does. */
const HEALED_MS_MAX = 150_000
/** An agent that was told nothing retries for as long as that. */
const PUSH_DEADLINE_MS = 10_000
const PUSH_DELAY_MS_MAX = 30
/** Of the claims: their holder stops for longer than its lease. */
const CLAIM_STOPS_PERCENT = 6
const SKEW_MS_MAX = 5_000
/** What a process is given to end by itself. */
const STOP_MS_MAX = 25_000
/** Somebody sets the clock. */
const JUMP_MS_MAX = 90_000
/** As promised of a writer that starts: what a rebuild allows for (LATE_COMMIT_MS) less a commit's 20 s. */
const WRITER_SKEW_MS_MAX = 40_000
const FINAL_MS_MAX = 60_000
const WHOLE = { startMs: START_MS - 3 * MS_PER_DAY, endMs: START_MS + MS_PER_DAY }
const TENANTS = ['acme', 'beta']
const SERVICES = ['cart', 'shop']

export async function runWorld(spec: WorldSpec): Promise<WorldReport> {
  const world = new World(spec)
  let seen: Seen | undefined
  try {
    await world.run()
  } catch (error) {
    seen =
      error instanceof Violation
        ? { kind: error.kind, what: error.message }
        : { kind: 'crashed', what: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
  return { seen, ...world.report() }
}

interface SimProcess {
  life: Life
  /** Ends what runs in it in good order; undefined if it has nothing to end. */
  stop: Stop | undefined
  readonly start: (life: Life) => Stop | undefined
}

type Stop = () => Promise<void>

class World {
  readonly #spec: WorldSpec
  readonly #dice: Dice
  readonly #scheduler: Scheduler
  readonly #trace = new Trace()
  readonly #ledger = new Ledger()
  readonly #faults: Faults
  readonly #twin: MemoryMetastore
  readonly #checker: Checker
  readonly #objects = new Map<string, Uint8Array>()
  readonly #codec = createSimCodec()
  readonly #digest = createDigest()
  readonly #regex = createRegexCompiler()
  readonly #database: DatabaseDeps
  readonly #replicas: Replica[] = []
  readonly #writers: { life: Life; service: SegmentWriterService }[] = []
  readonly #processes: SimProcess[] = []
  readonly #trouble: JobTrouble
  readonly #modes: Modes
  readonly #threads: WriterThreads
  #isRetried = false
  #clientsLeft = 0
  #lives = 0
  #counts = { queries: 0, failedQueries: 0, crashes: 0, stops: 0, pauses: 0, deleted: 0, deletions: 0, rebuilds: 0 }

  constructor(spec: WorldSpec) {
    this.#spec = spec
    const { seed, classes, mutation } = spec
    this.#dice = new Dice(seed, 'world')
    const scheduler = new Scheduler(START_MS, new Dice(seed, 'order'))
    this.#scheduler = scheduler
    const drawnPercent = this.#dice.pick([0, 2, 5, 15])
    const linkPercent = mutation?.linkPercent ?? drawnPercent
    const storePercent = this.#dice.pick([0, 2, 5, 15])
    this.#faults = new Faults({ classes, linkPercent, storePercent }, new Dice(seed, 'faults'))
    const clock = new Life('database', scheduler, 0).clock
    const caps = { tenantShardSize: this.#dice.pick([0, 0, 1]), runningPerTenantMax: this.#dice.pick([0, 0, 1]) }
    const jobPolicy = { ...SIM_JOB_POLICY, ...caps }
    this.#twin = createMemoryMetastore(clock, { jobPolicy, rules: mutation?.rules ?? {}, ...SIM_TWIN })
    this.#trouble = drawTrouble(this.#dice, this.#faults)
    const note = (what: string): void => this.#note('world', what)
    const stored = (key: string): Uint8Array | undefined => this.#objects.get(key)
    const nowMs = (): number => scheduler.nowMs
    const modes = drawModes(seed, this.#faults, mutation)
    this.#modes = modes
    const tell = (what: string): void => this.#note('threads', what)
    this.#threads = new WriterThreads({ seed, scheduler, faults: this.#faults, note: tell })
    const journalled = () => (modes.journal === 'acknowledge' ? journalledIn(this.#objects) : [])
    const codec = this.#codec
    this.#checker = new Checker({ twin: this.#twin, ledger: this.#ledger, codec, nowMs, note, stored, journalled })
    const dice = new Dice(seed, 'lines')
    const claims = new Dice(seed, 'claims')
    const onClaim = (life: Life): void => {
      const outMs = claims.between(16_000, 25_000)
      if (
        claims.chance(mutation?.claimStopsPercent ?? CLAIM_STOPS_PERCENT) &&
        this.#faults.has('pause') &&
        !life.isPaused
      )
        this.#pause(life, outMs)
    }
    this.#database = {
      scheduler,
      dice,
      faults: this.#faults,
      checker: this.#checker,
      twin: this.#twin,
      onClaim,
      orphanGraceMs: modes.orphanGraceMs,
      journal: modes.journal,
      codec,
      note: (who, what) => this.#note(who, what),
      wrapIndex: mutation?.index,
    }
  }

  async run(): Promise<void> {
    this.#startAll()
    const healAtMs = START_MS + (this.#spec.mutation?.activeMs ?? ACTIVE_MS)
    await this.#runUntil(healAtMs, () => false)
    this.#heal()
    await this.#runUntil(healAtMs + HEALED_MS_MAX, () => this.#isQuiet())
    checkEnd(this.#ends())
    await this.#askFinally()
    this.#checker.throwFirst()
  }

  report(): Omit<WorldReport, 'seen'> {
    const jobs = [...this.#twin.state.jobs.values()]
    const { entries } = this.#ledger
    return {
      trace: this.#trace.last,
      digest: this.#trace.digest,
      counts: {
        ...this.#counts,
        steps: this.#scheduler.steps,
        profiles: entries.length,
        acked: entries.filter(({ isAcked }) => isAcked).length,
        jobs: this.#checker.committed,
        parked: jobs.filter(({ state }) => state === 'parked').length,
        topLevel: this.#checker.topLevel,
        lostThreads: this.#threads.lost,
        journalled: this.#writers.reduce((sum, { service }) => sum + service.status().journalled, 0),
        quarantined: [...this.#objects.keys()].filter((key) => key.startsWith(QUARANTINE_PREFIX)).length,
      },
    }
  }

  #note(who: string, what: string): void {
    this.#trace.add(this.#scheduler.nowMs - START_MS, who, what)
  }

  async #runUntil(untilMs: number, isOver: () => boolean): Promise<void> {
    await this.#scheduler.run(untilMs, () => {
      this.#checker.throwFirst()
      return isOver()
    })
  }

  #newLife(name: string, skewMs: number): Life {
    return new Life(`${name}.${++this.#lives}`, this.#scheduler, skewMs)
  }

  #startAll(): void {
    const dice = this.#dice
    for (let i = 0; i < 2; i++) this.#addReplica(`metastore-${i}`)
    for (let i = dice.between(1, 3); i > 0; i--) this.#addWriter(`writer-${i}`)
    for (let i = dice.between(1, 3); i > 0; i--) this.#addWorker(`worker-${i}`)
    const clients = dice.between(2, 3)
    for (let i = 0; i < clients; i++) this.#addClient(`agent-${i}`)
    void this.#queryLoop(new Dice(this.#spec.seed, 'reader'))
    const operators = {
      twin: this.#twin,
      ledger: this.#ledger,
      checker: this.#checker,
      faults: this.#faults,
      counts: this.#counts,
      tenants: TENANTS,
      note: (what: string) => this.#note('operator', what),
    }
    const bucket = { objects: this.#objects, codec: this.#codec }
    if (this.#modes.isRebuilt)
      void loseDatabase({ ...operators, ...bucket }, this.#newLife('loss', 0), new Dice(this.#spec.seed, 'loss'))
    else {
      void retireDatasets(operators, this.#newLife('remover', 0), new Dice(this.#spec.seed, 'retire'))
      void changeRetention(operators, this.#newLife('rules', 0), new Dice(this.#spec.seed, 'retention'))
    }
    void deleteTenants(operators, this.#newLife('operator', 0), new Dice(this.#spec.seed, 'tenant'))
    void this.#chaosLoop(new Dice(this.#spec.seed, 'chaos'))
    if (this.#modes.threads > 0)
      void this.#threads.lose(this.#newLife('threads', 0), new Dice(this.#spec.seed, 'threads'))
  }

  #addProcess(name: string, start: SimProcess['start']): void {
    const skewMs = this.#dice.between(-SKEW_MS_MAX, SKEW_MS_MAX)
    const life = this.#newLife(name, this.#faults.has('skew') ? skewMs : 0)
    this.#processes.push({ life, start, stop: start(life) })
  }

  #addReplica(name: string): void {
    let replica: Replica | undefined
    this.#addProcess(name, (life) => {
      if (replica === undefined) {
        replica = new Replica(this.#database, life, (of) => this.#storeFor(of))
        this.#replicas.push(replica)
      } else replica.restart(life)
    })
  }

  #storeFor(life: Life, role: 'reader' | 'other' = 'other'): ObjectStore {
    return storeFor({ ...this.#database, objects: this.#objects }, life, role)
  }

  #portsFor(life: Life): ProcessPorts {
    return {
      life,
      store: this.#storeFor(life),
      metastore: metastoreFor(this.#database, life, this.#replicas),
      random: new Dice(this.#spec.seed, life.name),
      codec: this.#codec,
      digest: this.#digest,
      log: {
        info: () => undefined,
        warn: (event, fields) => this.#note(life.name, `${event} ${JSON.stringify(fields)}`),
        error: (event, fields) => this.#note(life.name, `${event} ${JSON.stringify(fields)}`),
      },
    }
  }

  #addWriter(name: string): void {
    let writer: { life: Life; service: SegmentWriterService } | undefined
    this.#addProcess(name, (life) => {
      const ports = this.#portsFor(life)
      const startThread = () => this.#threads.start(ports)
      const clock = this.#spec.mutation?.writerClock?.(life.clock) ?? life.clock
      const mode = { journal: this.#database.journal, threads: this.#modes.threads, startThread, clock }
      const service = startWriter(this.#spec.mutation?.writer?.(ports) ?? ports, mode)
      if (writer === undefined) this.#writers.push((writer = { life, service }))
      else Object.assign(writer, { life, service })
      return () => service.stop()
    })
  }

  #addWorker(name: string): void {
    this.#addProcess(name, (life) => {
      const ports = this.#portsFor(life)
      const { poison, symbolBytesMax, lossyPercent } = this.#trouble
      const lossy = new Dice(this.#spec.seed, `${life.name}/lossy`)
      const isLossy = (): boolean => lossy.chance(lossyPercent) && this.#faults.has('lossy')
      const merger = createSimMerger(ports, {
        isLossy,
        isPoison: (objectId, index) =>
          poison !== undefined && this.#checker.countedIn(objectId, index).includes(poison),
        symbolBytesMax,
      })
      const { mutation } = this.#spec
      const sound = mutation?.worker?.(ports) ?? ports
      const given = lossyPercent === 0 ? sound : { ...sound, metastore: overlooking(sound.metastore, isLossy) }
      const service = startWorker(given, mutation?.merger?.(merger) ?? merger)
      return () => service.stop()
    })
  }

  #addClient(name: string): void {
    const dice = new Dice(this.#spec.seed, name)
    const life = this.#newLife(name, 0)
    const hour = Math.floor(START_MS / MS_PER_HOUR) * MS_PER_HOUR
    this.#clientsLeft++
    const client = runClient({
      life,
      dice,
      ledger: this.#ledger,
      pushes: Math.round(dice.between(3, 6) * ((this.#spec.mutation?.activeMs ?? ACTIVE_MS) / ACTIVE_MS)),
      tenants: TENANTS,
      services: SERVICES,
      hoursMs: [hour, hour - MS_PER_HOUR, hour - 30 * MS_PER_HOUR],
      send: (request) => this.#send(life, request),
      onAck: (entries) => {
        this.#note(name, `stored ${entries.map(({ number }) => `p${number}`).join(' ')}`)
        this.#checker.counts()
      },
      onRefusal: (what) => this.#checker.report('crashed', `a push was refused for good: ${what}`),
    })
    void client.finally(() => this.#clientsLeft--)
  }

  #send(from: Life, request: WriteRequest): Promise<WriteResponse> {
    const { scheduler, dice } = this.#database
    const writer = dice.pick(this.#writers)
    const line = {
      scheduler,
      dice,
      from,
      to: writer.life,
      fault: this.#faults.onLink(),
      deadlineMs: PUSH_DEADLINE_MS,
      delayMaxMs: PUSH_DELAY_MS_MAX,
    }
    const { service } = writer
    return callOver(line, `push to ${writer.life.name}`, () => service.write(request))
  }

  async #queryLoop(dice: Dice): Promise<void> {
    const life = this.#newLife('reader', 0)
    while (this.#faults.isOn) {
      await life.clock.sleep(dice.between(500, 4_000))
      // Whole hours come from rollups, the rest from samples; half of the ranges are cut anywhere.
      const hour = START_MS - dice.pick([0, 1, 30]) * MS_PER_HOUR
      const isCut = dice.chance(50)
      const cut = { startMs: hour - dice.below(2 * MS_PER_HOUR), endMs: hour + dice.below(MS_PER_HOUR) }
      await this.#query(life, { tenant: dice.pick(TENANTS), ...(isCut ? cut : WHOLE) })
    }
  }

  #queryPorts(life: Life): QueryPorts {
    return {
      store: this.#storeFor(life, 'reader'),
      metastore: metastoreFor(this.#database, life, this.#replicas),
      codec: this.#codec,
      regex: this.#regex,
      nowMs: this.#scheduler.nowMs,
    }
  }

  /** Undefined if it was not answered. An answer must lie between what was known before it and after it. */
  async #query(life: Life, query: Query): Promise<Map<string, number> | undefined> {
    const before = this.#ledger.within(query.tenant, query).map((entry) => ({ ...entry }))
    this.#counts.queries++
    try {
      const answer = await queryTree(this.#queryPorts(life), query)
      const seen = judgeTree(answer, boundsOf(before, this.#ledger.within(query.tenant, query)))
      for (const { kind, what } of seen) this.#checker.report(kind, `query of ${query.tenant}: ${what}`)
      return answer
    } catch (error) {
      this.#note(life.name, `query of ${query.tenant} failed: ${String(error)}`)
      this.#counts.failedQueries++
      return undefined
    }
  }

  async #chaosLoop(dice: Dice): Promise<void> {
    const life = this.#newLife('chaos', 0)
    while (this.#faults.isOn) {
      await life.clock.sleep(dice.between(300, 5_000))
      const process = dice.pick(this.#processes)
      const jumpMs = dice.between(-JUMP_MS_MAX, JUMP_MS_MAX)
      if (dice.chance(10) && this.#faults.has('skew')) process.life.skewMs += jumpMs
      const isCrash = dice.chance(50)
      const isOrderly = dice.chance(40)
      const outMs = isCrash ? dice.between(50, 6_000) : dice.between(500, 25_000)
      if (process.life.isDead || process.life.isPaused) continue
      if (isCrash && isOrderly && this.#faults.has('stop')) {
        if (process.stop !== undefined) this.#stop(process, outMs)
      } else if (isCrash && this.#faults.has('crash')) this.#crash(process, outMs)
      else if (!isCrash && this.#faults.has('pause')) this.#pause(process.life, outMs)
    }
  }

  /** As after SIGTERM: what was begun ends or is given back; who is not done in time is killed. */
  #stop(process: SimProcess, outMs: number): void {
    const { life, stop } = process
    this.#note(life.name, 'is told to stop')
    this.#counts.stops++
    process.stop = undefined
    const end = (): void => {
      if (!life.isDead) this.#crash(process, outMs)
    }
    this.#scheduler.after(STOP_MS_MAX, end)
    // Not within the step that settles it: a process has other things to do in it.
    void stop!().then(() => this.#scheduler.after(0, end))
  }

  #crash(process: SimProcess, outMs: number): void {
    this.#note(process.life.name, `crashes for ${outMs} ms`)
    this.#counts.crashes++
    process.life.crash()
    this.#scheduler.after(outMs, () => this.#restart(process))
  }

  #restart(process: SimProcess): void {
    if (!process.life.isDead) return
    const [name] = process.life.name.split('.')
    const most = name!.startsWith('writer') ? WRITER_SKEW_MS_MAX : Number.POSITIVE_INFINITY
    process.life = this.#newLife(name!, Math.max(-most, Math.min(most, process.life.skewMs)))
    process.stop = process.start(process.life)
  }

  #pause(life: Life, outMs: number): void {
    this.#note(life.name, `stops for ${outMs} ms`)
    this.#counts.pauses++
    life.pause()
    this.#scheduler.after(outMs, () => life.resume())
  }

  #heal(): void {
    this.#note('world', 'heals')
    this.#faults.isOn = false
    for (const process of this.#processes) {
      process.life.resume()
      this.#restart(process)
    }
  }

  /** Parked jobs are tried once more, as a person would who sees that the faults are over. */
  #isQuiet(): boolean {
    if (openEnds(this.#ends()).length > 0) return false
    if (this.#isRetried) return true
    this.#isRetried = true
    retryParked(this.#twin.state)
    return false
  }

  /** A look at the whole, for the checks of the end. */
  #ends(): Ends {
    return {
      twin: this.#twin,
      objects: this.#objects,
      ledger: this.#ledger,
      checker: this.#checker,
      writers: this.#writers,
      poison: this.#trouble.poison,
      clientsLeft: this.#clientsLeft,
      orphanGraceMs: this.#database.orphanGraceMs,
    }
  }

  async #askFinally(): Promise<void> {
    const life = this.#newLife('reader', 0)
    const asked = Promise.all(
      TENANTS.map(async (tenant) => {
        const before = this.#ledger.changesOf(tenant)
        const tree = await this.#query(life, { tenant, ...WHOLE })
        if (tree === undefined) this.#checker.report('lost', `the last query of ${tenant} is not answered`)
        const total = await queryTotal(this.#queryPorts(life), { tenant, ...WHOLE })
        // Retention may take some between the two.
        if (tree !== undefined && total !== totalOfTree(tree) && this.#ledger.changesOf(tenant) === before)
          this.#checker.report('sums', `${tenant}: headers sum up to ${total}, samples to ${totalOfTree(tree)}`)
      }),
    )
    let isDone = false
    const failed = (error: unknown) => this.#checker.report('crashed', `the last queries: ${String(error)}`)
    void asked.catch(failed).finally(() => (isDone = true))
    await this.#runUntil(this.#scheduler.nowMs + FINAL_MS_MAX, () => isDone)
    if (!isDone) this.#checker.report('never-ends', 'the last queries')
  }
}
