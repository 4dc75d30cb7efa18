/**
 * What every query must answer, by the slowest way: a Map holds every sample as it was pushed, and a question looks at all
 * of them. It knows the rules of the interface and nothing of heads, blocks, rollups, plans or partial answers; of the
 * product it uses no code but the shapes of a profile.
 *
 * A pushed profile becomes parts, one for each set of sample labels; a part has a total for each type. What is pushed
 * again counts once. All sums are int64 and wrap.
 */
import type { FrameSpec, ProfileSpec } from './profiles.ts'

export interface NaiveProfile extends ProfileSpec {
  readonly tenant: string
  readonly series: Readonly<Record<string, string>>
  readonly types: NonNullable<ProfileSpec['types']>
  readonly timeNanos: bigint
}

export interface NaiveMatcher {
  readonly name: string
  readonly op: '=' | '!=' | '=~' | '!~'
  readonly value: string
}

/** Which samples a question means. */
export interface NaiveQuery {
  /** Whose profiles; of several, and where a question names it, the tenant is a label. */
  readonly tenants: readonly string[]
  readonly type: string
  readonly matchers: readonly NaiveMatcher[]
  readonly startMs: number
  readonly endMs: number
  readonly spanIds?: readonly string[]
  readonly traceIds?: readonly string[]
  readonly callSite?: readonly string[]
  /** Expressions that some name of a stack, or none, must meet. */
  readonly frames?: { readonly include: readonly string[]; readonly exclude: readonly string[] }
  /** Times of profiles, which tell them apart. */
  readonly profileTimes?: readonly bigint[]
}

interface NaiveSample {
  readonly names: readonly string[]
  readonly lines: string
  readonly span: string
  readonly trace: string
  readonly value: bigint
}

/** A part of one pushed profile as one type. */
export interface NaivePart {
  readonly tenant: string
  readonly profile: string
  readonly type: string
  /** Everything that matchers and groups see. */
  readonly labels: ReadonlyMap<string, string>
  readonly timeNanos: bigint
  readonly total: bigint
  readonly samples: readonly NaiveSample[]
}

const TENANT = '__tenant_id__'
const wrap = (value: bigint): bigint => BigInt.asIntN(64, value)
const sum = (values: Iterable<bigint>): bigint => {
  let total = 0n
  for (const value of values) total += value
  return wrap(total)
}

export class NaiveStore {
  readonly #parts = new Map<string, NaivePart>()

  /** Again: nothing changes. */
  push(profile: NaiveProfile): void {
    for (const part of partsOf(profile))
      this.#parts.set(JSON.stringify([part.profile, part.type, [...part.labels]]), part)
  }

  get parts(): readonly NaivePart[] {
    return [...this.#parts.values()]
  }

  select(query: NaiveQuery): NaivePart[] {
    return this.parts
      .filter(({ type, tenant }) => type === query.type && query.tenants.includes(tenant))
      .filter(({ timeNanos: at }) => at >= BigInt(query.startMs) * 1_000_000n && at <= BigInt(query.endMs) * 1_000_000n)
      .filter((part) => query.matchers.every((matcher) => holds(matcher, valueOf(part, matcher.name))))
      .filter(({ timeNanos }) => query.profileTimes === undefined || query.profileTimes.includes(timeNanos))
  }

  /** Sums by stack; of function names, or of all that a profile says of its frames. */
  stacks(query: NaiveQuery, by: 'names' | 'lines'): Map<string, bigint> {
    const sums = new Map<string, bigint>()
    for (const part of this.select(query)) {
      for (const sample of part.samples.filter((each) => each.names.length > 0 && isMeant(each, query))) {
        const key = by === 'lines' ? sample.lines : sample.names.join(';')
        sums.set(key, wrap((sums.get(key) ?? 0n) + sample.value))
      }
    }
    for (const [key, value] of sums) if (value === 0n) sums.delete(key)
    return sums
  }

  /** Selves by path; what is folded is `other`. */
  tree(query: NaiveQuery, maxNodes: number): Record<string, string> {
    const totals = new Map<string, bigint>()
    const stacks = this.stacks(query, 'names')
    for (const [stack, value] of stacks) {
      const names = stack.split(';')
      names.forEach((_, i) => {
        const path = names.slice(0, i + 1).join(';')
        totals.set(path, wrap((totals.get(path) ?? 0n) + value))
      })
    }
    const ranked = [...totals.values()].sort((a, b) => (a > b ? -1 : a < b ? 1 : 0))
    const least = ranked.length <= maxNodes ? undefined : ranked[maxNodes - 1]!
    const stays = (path: string): boolean =>
      path
        .split(';')
        .every(
          (name, i, all) =>
            name !== 'other' && (least === undefined || totals.get(all.slice(0, i + 1).join(';'))! >= least),
        )
    const selves = new Map<string, bigint>()
    for (const [stack, value] of stacks) {
      const names = stack.split(';')
      let depth = 0
      while (depth < names.length && stays(names.slice(0, depth + 1).join(';'))) depth++
      const place = [...names.slice(0, depth), ...(depth < names.length ? ['other'] : [])].join(';')
      selves.set(place, wrap((selves.get(place) ?? 0n) + value))
    }
    return sorted([...selves].filter(([, self]) => self !== 0n).map(([path, self]) => [path, String(self)]))
  }

  /** Series in the order of the answer. */
  series(query: NaiveQuery, wish: NaiveSeriesWish): { labels: string[][]; points: number[][] }[] {
    const { stepMs, groupBy, aggregation, limit } = wish
    const last = query.startMs + Math.floor((query.endMs - query.startMs) / stepMs) * stepMs
    const groups = new Map<string, Map<number, { sum: bigint; count: number }>>()
    for (const part of this.select({ ...query, startMs: query.startMs - stepMs, endMs: last })) {
      const meant = part.samples.filter((sample) => isMeant(sample, query))
      if ((query.callSite ?? query.frames) !== undefined && meant.length === 0) continue
      const atMs = Number(part.timeNanos / 1_000_000n)
      const point = Math.max(0, Math.ceil((atMs - query.startMs) / stepMs)) * stepMs + query.startMs
      const key = JSON.stringify(groupOf(part, groupBy))
      const points = groups.get(key) ?? groups.set(key, new Map()).get(key)!
      const known = points.get(point) ?? { sum: 0n, count: 0 }
      points.set(point, { sum: wrap(known.sum + sum(meant.map(({ value }) => value))), count: known.count + 1 })
    }
    const ranked = [...groups].map(([key, points]) => {
      const total = [...points.values()].reduce((all, each) => all + each.sum, 0n)
      const inOrder = [...points].sort(([a], [b]) => a - b)
      const values = inOrder.map(([at, { sum, count }]) => [
        at,
        aggregation === 'sum' ? Number(sum) : Number(sum) / count,
      ])
      return { key, total, labels: JSON.parse(key) as string[][], points: values }
    })
    ranked.sort((a, b) => (a.total > b.total ? -1 : a.total < b.total ? 1 : comparePairs(a.labels, b.labels)))
    return ranked.slice(0, limit || ranked.length).map(({ labels, points }) => ({ labels, points }))
  }

  /** How many points of which value lie in which step of which group. A profile is one point, whatever its parts. */
  points(query: NaiveQuery, wish: { of: 'profiles' | 'spans'; stepMs: number; groupBy: readonly string[] }): string[] {
    const values = new Map<string, bigint>()
    for (const part of this.select(query)) {
      const atMs = Number(part.timeNanos / 1_000_000n)
      const slot = query.startMs + Math.max(0, Math.ceil((atMs - query.startMs) / wish.stepMs)) * wish.stepMs
      const place = JSON.stringify([groupOf(part, wish.groupBy), slot])
      const add = (point: string, value: bigint) => {
        const key = `${place} ${point}`
        values.set(key, wrap((values.get(key) ?? 0n) + value))
      }
      if (wish.of === 'profiles') add(part.profile, part.total)
      else
        for (const { span, value } of part.samples)
          if (span !== '') add(`${part.profile} ${JSON.stringify([...part.labels])} ${span}`, value)
    }
    const kept = [...values].filter(([, value]) => wish.of === 'profiles' || value !== 0n)
    return kept.map(([key, value]) => `${key.slice(0, key.indexOf('] ') + 1)} ${value}`).sort()
  }

  /** Distinct label sets of the data hours that the range touches. */
  labelSets(query: Pick<NaiveQuery, 'tenants' | 'matchers' | 'startMs' | 'endMs'>): Record<string, string>[] {
    const hourMs = 3_600_000
    const sets = new Map<string, Record<string, string>>()
    for (const part of this.parts) {
      const { labels, timeNanos, tenant } = part
      if (!query.tenants.includes(tenant)) continue
      const hour = Math.floor(Number(timeNanos / 1_000_000n) / hourMs)
      if (hour < Math.floor(query.startMs / hourMs) || hour > Math.floor(query.endMs / hourMs)) continue
      const shown = new Map(query.tenants.length > 1 ? [...labels, [TENANT, tenant]] : labels)
      if (!query.matchers.every((matcher) => holds(matcher, shown.get(matcher.name) ?? ''))) continue
      const set = sorted([...shown])
      sets.set(JSON.stringify(set), set)
    }
    return [...sets.values()]
  }
}

export interface NaiveSeriesWish {
  readonly stepMs: number
  readonly groupBy: readonly string[]
  readonly aggregation: 'sum' | 'average'
  /** 0 = all. */
  readonly limit: number
}

function partsOf(profile: NaiveProfile): NaivePart[] {
  const [periodType, periodUnit] = profile.periodType ?? ['cpu', 'nanoseconds']
  const bySet = new Map<string, { labels: Map<string, string>; rows: ProfileSpec['samples'][number][] }>()
  for (const sample of profile.samples) {
    const values = sample.values.map(BigInt)
    if (values.some((value) => value < 0n) || values.every((value) => value === 0n)) continue
    const own = Object.entries(sample.labels ?? {}).filter(([name]) => name !== 'span_id' && name !== 'trace_id')
    const labels = new Map([
      ...own.map(([name, value]) => [name, String(value)] as const),
      ...Object.entries(profile.series),
    ])
    const key = JSON.stringify([...labels].sort())
    const set = bySet.get(key) ?? bySet.set(key, { labels, rows: [] }).get(key)!
    set.rows.push(sample)
  }
  const identity = JSON.stringify(profile, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
  return [...bySet.values()].flatMap(({ labels, rows }) =>
    profile.types.flatMap(([type, unit], t) => {
      const name = labels.get('__name__')!
      const id = `${name}:${type}:${unit}:${periodType}:${periodUnit}`
      const samples = rows.map((row) => sampleOf(row, t))
      const total = sum(samples.map(({ value }) => value))
      if (total === 0n) return []
      const typed = new Map([
        ...labels,
        ...Object.entries({ __profile_type__: id, __type__: type, __unit__: unit }),
        ...Object.entries({ __period_type__: periodType, __period_unit__: periodUnit }),
        ['__service_name__', labels.get('service_name')!] as const,
      ])
      return [
        {
          tenant: profile.tenant,
          profile: identity,
          type: id,
          labels: typed,
          timeNanos: profile.timeNanos,
          total,
          samples,
        },
      ]
    }),
  )
}

function sampleOf(row: ProfileSpec['samples'][number], type: number): NaiveSample {
  return {
    names: row.stack.map((frame) => (typeof frame === 'string' ? frame : frame[0])).reverse(),
    lines: JSON.stringify(row.stack.map(frameText)),
    span: String(row.labels?.span_id ?? ''),
    trace: String(row.labels?.trace_id ?? ''),
    value: BigInt(row.values[type]!),
  }
}

function frameText(frame: FrameSpec): readonly [string, string, string] {
  return typeof frame === 'string' ? [frame, '', '0'] : [frame[0], frame[1], String(frame[2])]
}

function isMeant({ names, span, trace }: NaiveSample, { spanIds, traceIds, callSite, frames }: NaiveQuery): boolean {
  if (spanIds !== undefined && !spanIds.includes(span)) return false
  if (traceIds !== undefined && !traceIds.includes(trace)) return false
  const isMet = (text: string) => names.some((name) => new RegExp(text).test(name))
  if (frames !== undefined && (names.length === 0 || !frames.include.every(isMet) || frames.exclude.some(isMet)))
    return false
  return (callSite ?? []).every((name, i) => names[i] === name)
}

/** Expressions of the generator mean the same to JavaScript. A label that is missing is empty. */
function holds({ op, value }: NaiveMatcher, actual: string): boolean {
  if (op === '=') return actual === value
  if (op === '!=') return actual !== value
  const matches = new RegExp(`^(?:${value})$`, 's').test(actual)
  return op === '=~' ? matches : !matches
}

function groupOf(part: NaivePart, groupBy: readonly string[]): string[][] {
  return groupBy.filter((name) => valueOf(part, name) !== '').map((name) => [name, valueOf(part, name)])
}

function valueOf({ labels, tenant }: NaivePart, name: string): string {
  return name === TENANT ? tenant : (labels.get(name) ?? '')
}

function comparePairs(a: readonly string[][], b: readonly string[][]): number {
  const texts = [a, b].map((pairs) => pairs.flat().join('\u0000'))
  return texts[0]! < texts[1]! ? -1 : texts[0]! > texts[1]! ? 1 : 0
}

function sorted(entries: readonly (readonly [string, string])[]): Record<string, string> {
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
