/** Shares of a tenant's rate: the rule by tables, and writers in virtual time that tell, sum and divide as they would. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  DEMAND_HALF_LIFE_MS,
  DEMAND_SUMMED_MIN,
  DEMAND_TOLD_MIN,
  DEMANDS_MAX,
  foldDemand,
  shareOfLimit,
  tellDemands,
} from '#core/limits/rate-share.ts'
import { type Bucket, fullBucket, takeTokens } from '#core/limits/token-bucket.ts'

const near = (actual: number, expected: number) => Math.abs(actual - expected) < 1e-9

test('a writer alone has all; within the limit each has what others leave; past it demand divides it', () => {
  const rows: [own: number, others: number, writers: number, share: number][] = [
    [0.2, 0, 1, 1],
    [50, 0, 1, 1],
    [0.2, 0.3, 2, 0.7],
    [0.5, 0.5, 2, 0.5],
    [0, 1, 2, 0.05],
    [2, 2, 2, 0.5],
    [3, 1, 2, 0.05 + 0.9 * 0.75],
    [1, 3, 2, 0.05 + 0.9 * 0.25],
    [0, 500, 500, 0.1 / 500],
  ]
  for (const [own, others, writers, share] of rows) {
    const actual = shareOfLimit({ own, others, writers })
    assert.ok(near(actual, share), `${own} of ${own + others} at ${writers}: ${actual}, not ${share}`)
  }
})

test('shares of a tenant over its limit add up to the limit, and none is 0', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 2, maxLength: 50 }), (demands) => {
      const all = demands.reduce((sum, each) => sum + each, 0)
      fc.pre(all > 1.001 && demands.every((own) => all - own > 0))
      const shares = demands.map((own) => shareOfLimit({ own, others: all - own, writers: demands.length }))
      assert.ok(shares.every((share) => share > 0))
      assert.ok(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-6)
    }),
  )
})

test('the highest demands are told, and none too small to matter', () => {
  const many = Array.from({ length: 300 }, (_, i) => ({ tenant: `t${i}`, load: (i + 1) / 100 }))
  const told = tellDemands([{ tenant: 'small', load: DEMAND_TOLD_MIN / 2 }, ...many])
  assert.equal(told.length, DEMANDS_MAX)
  assert.deepEqual(told[0], { tenant: 't299', load: 3 })
  assert.equal(told.at(-1)!.tenant, 't44')
  assert.deepEqual(tellDemands([{ tenant: 'small', load: DEMAND_TOLD_MIN / 2 }]), [])
})

test('a demand follows what arrives, and one that is refused does not fall below its share', () => {
  const fold = (bytesPerSecond: number, arrivedBytes: number, refusedAtBytesPerSecond?: number) =>
    foldDemand({ bytesPerSecond, arrivedBytes, elapsedMs: DEMAND_HALF_LIFE_MS, refusedAtBytesPerSecond })
  assert.ok(near(fold(0, 1_000), 100))
  assert.ok(near(fold(100, 0), 50))
  assert.ok(near(fold(100, 0, 80), 80))
  assert.ok(near(fold(100, 0, 200), 100), 'a share that was never used up is no demand')
  assert.ok(near(fold(100, 2_000, 80), 250))
})

/** One tenant: writers with buckets and shares, a metastore that sums every five seconds, clients that hold back. */
const LIMIT = 1_000_000
const TICK_MS = 100
const BEAT_MS = 5_000
const PUSH_BYTES = 5_000

class Writer {
  readonly name: number
  demandBytes: number
  share = 1
  told = 0
  admitted = 0
  #bucket: Bucket
  #bytesPerSecond = 0
  #arrived = 0
  #refused = false
  #due = 0
  #heldUntilMs = 0

  constructor(name: number, demandBytes: number, nowMs: number) {
    this.name = name
    this.demandBytes = demandBytes
    this.#bucket = fullBucket({ ratePerSecond: LIMIT, burst: LIMIT / 2 }, nowMs)
  }

  /** `holds`: who is refused sends nothing until it may. */
  tick(nowMs: number, holds: boolean): void {
    this.#due += (this.demandBytes * TICK_MS) / 1_000
    for (; this.#due >= PUSH_BYTES; this.#due -= PUSH_BYTES) {
      if (holds && nowMs < this.#heldUntilMs) continue
      const limits = { ratePerSecond: LIMIT * this.share, burst: (LIMIT / 2) * this.share }
      const taken = takeTokens(this.#bucket, limits, PUSH_BYTES, nowMs)
      this.#bucket = taken.bucket
      this.#arrived += PUSH_BYTES
      if (taken.allowed) this.admitted += PUSH_BYTES
      else {
        this.#refused = true
        this.#heldUntilMs = nowMs + Math.min(BEAT_MS, taken.retryAfterMs)
      }
    }
  }

  tell(): void {
    this.#bytesPerSecond = foldDemand({
      bytesPerSecond: this.#bytesPerSecond,
      arrivedBytes: this.#arrived,
      elapsedMs: BEAT_MS,
      refusedAtBytesPerSecond: this.#refused ? this.share * LIMIT : undefined,
    })
    this.#arrived = 0
    this.#refused = false
    this.told = tellDemands([{ tenant: 't', load: this.#bytesPerSecond / LIMIT }])[0]?.load ?? 0
  }
}

class Fleet {
  nowMs = 0
  writers: Writer[]
  isMetastoreAway = false
  readonly holds: boolean
  /** As the last pass summed it. */
  #sum = { load: 0, writers: 0 }
  #summed = new Map<Writer, number>()

  constructor(demands: readonly number[], { holds }: { readonly holds: boolean }) {
    this.holds = holds
    this.writers = demands.map((demand, i) => new Writer(i, demand * LIMIT, 0))
  }

  /** Of the limit, over all writers. */
  run(durationMs: number): number {
    const before = this.writers.reduce((sum, { admitted }) => sum + admitted, 0)
    for (const endMs = this.nowMs + durationMs; this.nowMs < endMs; ) {
      this.nowMs += TICK_MS
      for (const writer of this.writers) writer.tick(this.nowMs, this.holds)
      if (this.nowMs % BEAT_MS === 2_500) this.#pass()
      // Beats are spread over the interval.
      for (const writer of this.writers) {
        if ((this.nowMs + ((writer.name * 700) % BEAT_MS)) % BEAT_MS === 0) this.#beat(writer)
      }
    }
    const after = this.writers.reduce((sum, { admitted }) => sum + admitted, 0)
    return ((after - before) / LIMIT / durationMs) * 1_000
  }

  join(demand: number): void {
    const name = Math.max(...this.writers.map((writer) => writer.name)) + 1
    this.writers.push(new Writer(name, demand * LIMIT, this.nowMs))
  }

  #beat(writer: Writer): void {
    const before = writer.told
    writer.tell()
    if (this.isMetastoreAway) return
    const { load, writers } = this.#sum
    const isListed = writers > 1 && load >= DEMAND_SUMMED_MIN && writer.told > 0
    const others = isListed ? Math.max(0, load - before) : 0
    writer.share = shareOfLimit({ own: writer.told, others, writers: writers + Number(before === 0) })
    this.#summed.set(writer, writer.told)
  }

  #pass(): void {
    if (this.isMetastoreAway) return
    const told = this.writers.map((writer) => this.#summed.get(writer) ?? 0).filter((load) => load > 0)
    this.#sum = { load: told.reduce((sum, load) => sum + load, 0), writers: told.length }
  }
}

/** Pushes are whole, and what a beat sees is a little late. */
const OVER = 1.05
const SETTLE_MS = 90_000
const WATCH_MS = 60_000

const FLEETS: readonly (readonly [name: string, demands: readonly number[]])[] = [
  ['even', [1, 1, 1, 1]],
  ['a little over', [0.4, 0.4, 0.4]],
  ['uneven', [4, 0.5, 0.1, 0.01]],
  ['one hot among many', [3, ...new Array<number>(39).fill(0.01)]],
  ['five hundred', new Array<number>(500).fill(0.02)],
]

for (const holds of [false, true]) {
  const clients = holds ? 'clients hold back when refused' : 'clients go on'
  for (const [name, demands] of FLEETS) {
    test(`over the limit, ${name}: together the limit; ${clients}`, () => {
      const fleet = new Fleet(demands, { holds })
      fleet.run(SETTLE_MS)
      const admitted = fleet.run(WATCH_MS)
      assert.ok(admitted <= OVER, `${admitted} of the limit`)
      assert.ok(admitted >= 0.75, `${admitted} of the limit`)
      assert.ok(fleet.writers.every(({ share }) => share > 0))
    })
  }

  test(`within the limit nobody is refused, however uneven, and also where it moves; ${clients}`, () => {
    const fleet = new Fleet([0.7, 0.1, 0.05], { holds })
    fleet.run(SETTLE_MS)
    assert.ok(Math.abs(fleet.run(WATCH_MS) - 0.85) < 0.01)
    const [first, , last] = fleet.writers
    first!.demandBytes = 0.05 * LIMIT
    last!.demandBytes = 0.7 * LIMIT
    const moved = fleet.run(WATCH_MS)
    assert.ok(moved > 0.74, `${moved}: placement moved the service`)
  })

  test(`writers come and go: the others get what they had, and no more than the limit together; ${clients}`, () => {
    const fleet = new Fleet([1, 1], { holds })
    fleet.run(SETTLE_MS)
    for (let i = 0; i < 4; i++) fleet.join(1)
    fleet.run(SETTLE_MS)
    assert.ok(fleet.run(WATCH_MS) <= OVER)
    fleet.writers = fleet.writers.slice(0, 1)
    fleet.run(SETTLE_MS)
    assert.equal(fleet.writers[0]!.share, 1)
    assert.ok(fleet.run(WATCH_MS) >= 0.9)
  })

  test(`no metastore for minutes: the last shares stay, whatever changes meanwhile; ${clients}`, () => {
    const fleet = new Fleet([2, 1, 1], { holds })
    fleet.run(SETTLE_MS)
    fleet.isMetastoreAway = true
    const shares = fleet.writers.map(({ share }) => share)
    fleet.writers[1]!.demandBytes = 5 * LIMIT
    assert.ok(fleet.run(5 * WATCH_MS) <= OVER)
    assert.deepEqual(
      fleet.writers.map(({ share }) => share),
      shares,
    )
    fleet.isMetastoreAway = false
    fleet.run(SETTLE_MS)
    // Who holds back shows less than it wants.
    assert.ok(
      fleet.writers[1]!.share > shares[1]! * (holds ? 0.95 : 1.5),
      `${fleet.writers[1]!.share}: the demand is seen again`,
    )
    assert.ok(fleet.run(WATCH_MS) <= OVER)
  })
}
