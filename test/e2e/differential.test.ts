/**
 * Random profiles and random questions: the whole, over a real database and real files, answers what a Map of all samples
 * answers (`test/support/naive-profiles.ts`), before, during and after compaction at every level, and whether one backend,
 * which keeps what it read, answers for everything or each dataset is read apart and anew.
 *
 * 1. A run is a tenant: its profiles are pushed in two halves, the second after the first was compacted to days.
 * 2. Every question is asked after each push, while jobs run and after each pass of planning.
 * A failure prints its seed; `DIFFERENTIAL_SEED` runs that case again and makes it smaller, `DIFFERENTIAL_RUNS` asks more.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DescMessage, fromJson, type JsonValue, type MessageShape } from '@bufbuild/protobuf'
import * as fc from 'fast-check'
import { WINDOW_COMPACTION_POLICY } from '#core/compaction/policy.ts'
import type { Profile } from '#platform/gen/google/v1/profile_pb.ts'
import { QuerierService } from '#platform/gen/querier/v1/querier_pb.ts'
import {
  type NaiveMatcher,
  type NaiveProfile,
  type NaiveQuery,
  type NaiveSeriesWish,
  NaiveStore,
} from '../support/naive-profiles.ts'
import { buildPprof } from '../support/profiles.ts'
import { anchored, type Question, type Scenario, scenario, TENANTS, TYPES } from '../support/query-cases.ts'
import { callRpc, expectOk, push } from '../support/server-client.ts'
import { createServiceStack, type ServiceStack } from '../support/service-stack.ts'
import { spreadOver } from '../support/spread-backend.ts'

const IS_REPEATED = process.env.DIFFERENTIAL_SEED !== undefined
const RUNS = Number(process.env.DIFFERENTIAL_RUNS ?? (IS_REPEATED ? 1 : process.env.CI === 'true' ? 30 : 2))
const SEED = Number(process.env.DIFFERENTIAL_SEED ?? Date.now() % 1_000_000)
/** Questions whose whole texts are compared: each is seven more calls a check. */
const WHOLE_MAX = 2
/** Where there are more, label sets come from blocks. */
const LABEL_SETS_MAX = 4
/** Of a tenant and hour: where there were more, blocks answer too, whatever is asked. */
const LABEL_SETS_PER_HOUR_MAX = 5
/** No case is begun after this: a machine that has no time runs fewer. */
const TIME_MS = 20_000

let stack: ServiceStack
let isSpread = false
let made = 0
async function openStack(): Promise<ServiceStack> {
  const windowPolicy = { ...WINDOW_COMPACTION_POLICY, tierFanIn: 2, graceMs: 0, quietMs: 0, forceMs: 0 }
  const labels = { labelSetsMax: LABEL_SETS_MAX, labelSetsPerHourMax: LABEL_SETS_PER_HOUR_MAX }
  return createServiceStack({ planWindowsIntervalMs: 0, windowPolicy, ...labels }, undefined, {
    multitenancy: true,
    pollWaitMs: 20,
    limits: { rejectOlderThanMs: 0, maxQueryLengthMs: 0, maxQueryLookbackMs: 0 },
    wrapBackend: (backend, keeping) => spreadOver(backend, keeping, () => isSpread),
  })
}

class Run {
  readonly model = new NaiveStore()
  readonly #run = made++
  /** Of the question that is being asked. */
  #tenants: readonly string[] = []
  readonly #questions: readonly Question[]
  /** By question, since the last push. */
  readonly #seen = new Map<string, string>()

  constructor(questions: readonly Question[]) {
    this.#questions = questions
  }

  #tenantOf(letter: string): string {
    return `${letter}-${this.#run}`
  }

  /** Each of two requests of a tenant is a segment at least; what was pushed last is sent again. */
  async push(profiles: readonly NaiveProfile[]): Promise<void> {
    this.#seen.clear()
    const half = Math.ceil(profiles.length / 2)
    for (const part of [profiles.slice(0, half), profiles.slice(half), profiles.slice(-1)]) {
      if (part.length === 0) continue
      for (const letter of TENANTS) {
        const own = part.filter(({ tenant }) => tenant === letter)
        const series = own.map((each) => ({ labels: each.series, profiles: [buildPprof(each)] }))
        if (own.length > 0) await expectOk(push(stack.send, series, this.#tenantOf(letter)))
        for (const each of own) this.model.push({ ...each, tenant: this.#tenantOf(letter) })
      }
    }
  }

  /** Through the backend that keeps, and with each dataset read apart. */
  async check(...modes: ('kept' | 'spread')[]): Promise<void> {
    const ids = await this.#profileIds()
    for (const mode of modes) {
      isSpread = mode === 'spread'
      for (const each of this.#questions) await this.#checkOne(each, ids)
      await this.#checkSame()
    }
    isSpread = false
  }

  /** What the model does not make: whole texts of answers are those of the first time, until something is pushed. */
  async #checkSame(): Promise<void> {
    for (const [i, { base: asked, tenants, maxNodes, series, points }] of this.#questions
      .slice(0, WHOLE_MAX)
      .entries()) {
      this.#tenants = tenants.map((letter) => this.#tenantOf(letter))
      const fields = { ...timed(asked), profileTypeID: asked.type, labelSelector: textOf(asked.matchers) }
      const grid = { ...fields, step: series.stepMs / 1000, groupBy: series.groupBy }
      const kind = points.of === 'spans' ? 'SPAN' : 'INDIVIDUAL'
      const exemplarType = `EXEMPLAR_TYPE_${kind}`
      const right = { ...fields, labelSelector: '{service_name=~"s.*"}' }
      const requests: [string, object][] = [
        ['SelectMergeStacktraces', { ...fields, maxNodes, format: 'PROFILE_FORMAT_PPROF' }],
        ['SelectMergeStacktraces', { ...fields, maxNodes, format: 'PROFILE_FORMAT_DOT' }],
        ['SelectMergeStacktraces', { ...fields, maxNodes }],
        ['Diff', { left: { ...fields, maxNodes }, right }],
        ['SelectSeries', { ...grid, exemplarType }],
        ['ProfileTypes', timed(asked)],
      ]
      if (asked.startMs < asked.endMs) {
        requests.push(['SelectHeatmap', { ...grid, exemplarType, queryType: `HEATMAP_QUERY_TYPE_${kind}` }])
      }
      for (const [method, request] of requests) {
        const answer = JSON.stringify(
          await expectOk(callRpc(stack.send, `${QuerierService.typeName}/${method}`, request, this.#tenants.join('|'))),
        )
        const key = `${i} ${method} ${show(request)}`
        assert.equal(answer, this.#seen.get(key) ?? answer, `${isSpread ? 'spread' : 'one backend'}: ${key}`)
        this.#seen.set(key, answer)
      }
    }
  }

  async #ask<
    Method extends
      | 'selectMergeStacktraces'
      | 'selectSeries'
      | 'selectHeatmap'
      | 'labelNames'
      | 'labelValues'
      | 'series',
  >(method: Method, request: object): Promise<MessageShape<(typeof QuerierService.method)[Method]['output']>> {
    const { name, output } = QuerierService.method[method]
    const answer = await expectOk(
      callRpc(stack.send, `${QuerierService.typeName}/${name}`, request, this.#tenants.join('|')),
    )
    return fromJson(output as DescMessage, answer as JsonValue) as MessageShape<
      (typeof QuerierService.method)[Method]['output']
    >
  }

  /** Exemplars tell the ids of profiles; times tell which they are. */
  async #profileIds(): Promise<{ id: string; timeNanos: bigint }[]> {
    this.#tenants = TENANTS.map((letter) => this.#tenantOf(letter))
    const times = [...new Set(this.model.parts.map(({ timeNanos: at }) => at))]
    const found: { id: string; timeNanos: bigint }[] = []
    for (const at of times) {
      const ms = Number(at / 1_000_000n)
      for (const type of TYPES) {
        const request = { ...timed({ startMs: ms, endMs: ms + 1 }), profileTypeID: type, labelSelector: '{}' }
        const wish = {
          step: 0.001,
          groupBy: ['__tenant_id__', 'service_name', 'region', 'pod.name', 'endpoint'],
          exemplarType: 'EXEMPLAR_TYPE_INDIVIDUAL',
        }
        const { series } = await this.#ask('selectSeries', { ...request, ...wish })
        for (const { points } of series)
          for (const { exemplars } of points)
            for (const { profileId } of exemplars) found.push({ id: profileId, timeNanos: at })
      }
    }
    // Two profiles of one millisecond cannot be told apart by their times: neither is asked for.
    const perMs = new Map<bigint, Set<string>>()
    for (const part of this.model.parts) {
      const ms = part.timeNanos / 1_000_000n
      for (const near of [ms - 1n, ms, ms + 1n])
        (perMs.get(near) ?? perMs.set(near, new Set()).get(near)!).add(part.profile)
    }
    return found.filter(({ timeNanos: at }) => perMs.get(at / 1_000_000n)!.size === 1)
  }

  async #checkOne(
    { base, tenants, selectors: { ids, callSite, frames, profiles }, ...rest }: Question,
    known: readonly { id: string; timeNanos: bigint }[],
  ) {
    this.#tenants = tenants.map((letter) => this.#tenantOf(letter))
    const asked = { ...base, tenants: this.#tenants }
    const named = known.length === 0 ? undefined : profiles?.map((i) => known[i % known.length]!)
    const isFiltered = frames !== undefined && frames.include.length + frames.exclude.length > 0
    const stacks = { ...(callSite === undefined ? {} : { callSite }), ...(isFiltered ? { frames } : {}) }
    const query: NaiveQuery = {
      ...asked,
      ...ids,
      ...stacks,
      ...(named === undefined ? {} : { profileTimes: named.map(({ timeNanos: at }) => at) }),
    }
    const fields = {
      ...timed(asked),
      profileTypeID: asked.type,
      labelSelector: textOf(asked.matchers),
      spanSelector: query.spanIds ?? [],
      traceIdSelector: query.traceIds ?? [],
      profileIdSelector: named?.map(({ id }) => id) ?? [],
      stackTraceSelector: {
        callSite: (callSite ?? []).map((name) => ({ name })),
        frameFilter: {
          includeFunctionNameRegexes: frames?.include ?? [],
          excludeFunctionNameRegexes: frames?.exclude ?? [],
        },
      },
    }
    const why = `${isSpread ? 'spread' : 'one backend'}: ${show({ query, rest })}`
    const { maxNodes } = rest
    const { tree } = await this.#ask('selectMergeStacktraces', {
      ...fields,
      maxNodes,
      format: 'PROFILE_FORMAT_TREE',
    })
    assert.deepEqual(treeOf(tree), this.model.tree(query, maxNodes), `tree of ${why}`)
    await this.#checkLines(query, fields, why)
    await this.#checkSeries({ ...asked, ...stacks }, fields, rest.series, why)
    await this.#checkPoints(asked, fields, rest.points, why)
    await this.#checkLabels(asked, why)
  }

  async #checkLines(query: NaiveQuery, fields: object, why: string): Promise<void> {
    const { pprof } = await this.#ask('selectMergeStacktraces', { ...fields, format: 'PROFILE_FORMAT_PPROF' })
    const expected = [...this.model.stacks(query, 'lines')].map(([key, sum]) => `${key} ${sum}`)
    assert.deepEqual(linesOf(pprof?.profile), expected.sort(), `profile of ${why}`)
  }

  async #checkSeries(query: NaiveQuery, fields: object, wish: NaiveSeriesWish, why: string): Promise<void> {
    const { series } = await this.#ask('selectSeries', {
      ...fields,
      step: wish.stepMs / 1000,
      groupBy: wish.groupBy,
      limit: String(wish.limit),
      aggregation: `TIME_SERIES_AGGREGATION_TYPE_${wish.aggregation.toUpperCase()}`,
    })
    const answered = series.map(({ labels, points }) => ({
      labels: labels.map(({ name, value: text }) => [name, text]),
      points: points.map((point) => [Number(point.timestamp), point.value]),
    }))
    assert.deepEqual(answered, this.model.series(query, wish), `series of ${why}`)
  }

  async #checkPoints(asked: NaiveQuery, fields: object, wish: Question['points'], why: string): Promise<void> {
    if (asked.startMs === asked.endMs) return
    const queryType = wish.of === 'spans' ? 'HEATMAP_QUERY_TYPE_SPAN' : 'HEATMAP_QUERY_TYPE_INDIVIDUAL'
    const { series } = await this.#ask('selectHeatmap', {
      ...fields,
      queryType,
      groupBy: wish.groupBy,
      step: wish.stepMs / 1000,
    })
    const counts: Record<string, number> = {}
    for (const { labels, slots } of series) {
      const pairs = labels.map(({ name, value: text }) => [name, text])
      for (const slot of slots)
        counts[JSON.stringify([pairs, Number(slot.timestamp)])] = slot.counts.reduce((a, b) => a + b, 0)
    }
    const expected: Record<string, number> = {}
    for (const point of this.model.points(asked, wish)) {
      const place = point.slice(0, point.lastIndexOf(' '))
      expected[place] = (expected[place] ?? 0) + 1
    }
    assert.deepEqual(counts, expected, `points of ${why}`)
  }

  async #checkLabels(asked: NaiveQuery, why: string): Promise<void> {
    const sets = this.model.labelSets(asked)
    const fields = { ...timed(asked), matchers: [textOf(asked.matchers)] }
    const { names } = await this.#ask('labelNames', fields)
    const ascii = (name: string) => /^[a-zA-Z_]\w*$/.test(name)
    assert.deepEqual(names, [...new Set(sets.flatMap(Object.keys))].filter(ascii).sort(), `names of ${why}`)
    const { names: values } = await this.#ask('labelValues', { ...fields, name: 'endpoint' })
    assert.deepEqual(values, [...new Set(sets.flatMap(({ endpoint }) => endpoint ?? []))].sort(), `values of ${why}`)
    const { labelsSet } = await this.#ask('series', { ...fields, labelNames: [] })
    const shown = sets.map((set) => JSON.stringify(Object.entries(set).filter(([name]) => ascii(name))))
    const series = labelsSet.map(({ labels }) => JSON.stringify(labels.map(({ name, value: text }) => [name, text])))
    assert.deepEqual(series.sort(), [...new Set(shown)].sort(), `label sets of ${why}`)
  }
}

function timed({ startMs, endMs }: { startMs: number; endMs: number }) {
  return { start: String(startMs), end: String(endMs) }
}

function textOf(matchers: readonly NaiveMatcher[]): string {
  return `{${matchers.map(({ name, op, value: text }) => `${name}${op}${JSON.stringify(text)}`).join(',')}}`
}

function show(all: unknown): string {
  return JSON.stringify(all, (_, each: unknown) => (typeof each === 'bigint' ? `${each}n` : each))
}

/** Selves by path: pre-order, last child first. */
function treeOf(bytes: Uint8Array): Record<string, string> {
  let at = 0
  const varint = (): bigint => {
    let result = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = BigInt(bytes[at++]!)
      result |= (byte & 127n) << shift
      if (byte < 128n) return result
    }
  }
  const selves: [string, string][] = []
  const open: string[][] = [[]]
  while (at + 1 < bytes.length && open.length > 0) {
    const path = open.pop()!
    const length = Number(varint())
    const name = new TextDecoder().decode(bytes.subarray(at, at + length))
    at += length
    const self = BigInt.asIntN(64, varint())
    const own = name === '' ? path : [...path, name]
    if (self !== 0n) selves.push([own.join(';'), String(self)])
    for (let children = varint(); children > 0n; children--) open.push(own)
  }
  return Object.fromEntries(selves.sort(([a], [b]) => (a < b ? -1 : 1)))
}

function linesOf(message: Profile | undefined): string[] {
  if (message === undefined) return []
  const { stringTable, sample } = message
  const functions = new Map(message.function.map((each) => [each.id, each]))
  const locations = new Map(message.location.map((each) => [each.id, each]))
  return sample
    .map(({ locationId, value }) => {
      const frames = locationId.map((id) => {
        const [line] = locations.get(id)!.line
        const { name, filename } = functions.get(line!.functionId)!
        return [stringTable[Number(name)], stringTable[Number(filename)], String(line!.line)]
      })
      return `${JSON.stringify(frames)} ${value[0]}`
    })
    .sort()
}

async function runScenario({ first, second, questions }: Scenario): Promise<void> {
  const run = new Run(questions.map((each) => anchored(each, first)))
  for (const profiles of [first, second]) {
    if (profiles.length === 0) continue
    await run.push(profiles)
    await run.check('spread')
    for (let jobs = -1; jobs !== 0; ) {
      const compaction = stack.compact()
      await run.check('kept')
      jobs = await compaction
    }
    await run.check('spread', 'kept')
  }
}

test('random questions over random profiles: answers are those of a Map of samples, selected or not, through every level (H68)', async () => {
  stack = await openStack()
  const untilMs = performance.now() + TIME_MS
  const property = fc.asyncProperty(scenario, runScenario)
  // One case has a seed of its own, and one is run whatever the time: no clock makes a failure of it.
  for (let i = 0; i < RUNS && (i === 0 || performance.now() < untilMs); i++) {
    await fc.assert(property, { numRuns: 1, seed: SEED + i, endOnFailure: !IS_REPEATED })
  }
  const rows = await stack.metastore.database.sql<{ level: number }[]>`select distinct level from datasets`
  // Which windows meet in one object is the draw's; days there always are.
  assert.ok(rows.some(({ level }) => level === 7))
  await stack.close()
})
