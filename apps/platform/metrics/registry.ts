/**
 * Counters, gauges and histograms in the text format of Prometheus, on fetch runtimes alike.
 *
 * A label says how many values it may have; past that a new value counts as `other`, so that neither a flood of tenants
 * nor a hostile name can make a scrape grow without bound. A family of several labels is bounded as a whole too.
 *
 * Before a scrape `collect` functions may set what is only known when asked; one that fails, or takes too long, is skipped
 * and counted: a scrape must answer while what it asks does not.
 */
import { assert } from '#core/assert.ts'

/** Label name → most values it may have. */
export type Labels = Readonly<Record<string, number>>

export interface Counter {
  /** Values of the labels in their order. */
  add(by: number, ...values: string[]): void
}

export interface Gauge {
  set(value: number, ...values: string[]): void
  /** Forgets all values: what is gone since the last scrape must not stand there for ever. */
  clear(): void
}

export interface Histogram {
  observe(value: number, ...values: string[]): void
}

/** Of one family, over all its labels: 2,000 lines are 200 KiB of a scrape. */
const SERIES_MAX = 2_000
const OTHER = 'other'
/** Between the values of a key: a label value that holds it is a name from nobody of ours. */
const SEPARATOR = '\u0001'
/** Label values are names: a longer one is cut. */
const VALUE_CHARS_MAX = 150

/** A scrape is given up after 10 s by default; the status report takes 4 s where the database does not answer. */
export const COLLECT_MAX_MS = 5_000

/** 5 ms to 100 s, as the peers have it for requests. */
export const DURATION_BUCKETS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100,
]
/** 1 KiB to 1 GiB, four to one. */
export const SIZE_BUCKETS: readonly number[] = Array.from({ length: 11 }, (_, i) => 1024 * 4 ** i)

interface Family {
  render(lines: string[]): void
}

export class Registry {
  readonly #families = new Map<string, Family>()
  readonly #collectors: (() => void | Promise<void>)[] = []
  readonly #collectFailures: Counter
  readonly #collectMaxMs: number

  constructor(options: { readonly collectMaxMs?: number } = {}) {
    this.#collectMaxMs = options.collectMaxMs ?? COLLECT_MAX_MS
    this.#collectFailures = this.counter('cinder_metrics_collect_failures_total', 'Collectors that failed at a scrape.')
  }

  counter(name: string, help: string, labels: Labels = {}): Counter {
    const series = this.#add(name, new Simple({ name, help, type: 'counter' }, labels))
    return { add: (by, ...values) => series.change(values, (value) => value + by) }
  }

  /** A counter that somebody else counts: its value is set at a scrape. */
  reading(name: string, help: string): { set(value: number): void } {
    const series = this.#add(name, new Simple({ name, help, type: 'counter' }, {}))
    return { set: (value) => series.change([], () => value) }
  }

  gauge(name: string, help: string, labels: Labels = {}): Gauge {
    const series = this.#add(name, new Simple({ name, help, type: 'gauge' }, labels))
    return { set: (value, ...values) => series.change(values, () => value), clear: () => series.clear() }
  }

  histogram(name: string, help: string, options: { buckets: readonly number[]; labels?: Labels }): Histogram {
    return this.#add(name, new Buckets({ name, help, type: 'histogram' }, options.labels ?? {}, options.buckets))
  }

  /** Begun before every scrape, in order; none waits for another, so that several that hang take no longer than one. */
  collect(collector: () => void | Promise<void>): void {
    this.#collectors.push(collector)
  }

  async render(): Promise<string> {
    await Promise.all(this.#collectors.map((collector) => this.#collect(collector)))
    const lines: string[] = []
    for (const family of this.#families.values()) family.render(lines)
    return `${lines.join('\n')}\n`
  }

  async #collect(collector: () => void | Promise<void>): Promise<void> {
    try {
      await inTime(collector(), this.#collectMaxMs)
    } catch {
      this.#collectFailures.add(1)
    }
  }

  #add<T extends Family>(name: string, family: T): T {
    assert(!this.#families.has(name), `the metric ${name} is there already`)
    this.#families.set(name, family)
    return family
  }
}

/** What comes later is too late for this scrape: it may still set its figures for the next. */
async function inTime(collected: void | Promise<void>, maxMs: number): Promise<void> {
  if (collected === undefined) return
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`not collected in ${maxMs} ms`)), maxMs)
  collected.catch(() => undefined)
  try {
    await Promise.race([collected, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

interface Head {
  readonly name: string
  readonly help: string
  readonly type: string
}

/** Children of a family by the values of their labels, bounded. */
class Children<Child> {
  readonly #labels: readonly { readonly name: string; readonly valuesMax: number; readonly seen: Set<string> }[]
  readonly #children = new Map<string, { readonly pairs: string; readonly child: Child }>()
  readonly #make: () => Child

  constructor(labels: Labels, make: () => Child) {
    this.#labels = Object.entries(labels).map(([name, valuesMax]) => ({ name, valuesMax, seen: new Set() }))
    this.#make = make
    // A family without labels is there from the start, so that a rate of zero is a zero.
    if (this.#labels.length === 0) this.of([])
  }

  of(values: readonly string[]): Child {
    assert(values.length === this.#labels.length, 'a value for each label')
    const known = this.#children.get(values.join(SEPARATOR))
    return known?.child ?? this.#add(values)
  }

  *[Symbol.iterator](): Iterator<{ readonly pairs: string; readonly child: Child }> {
    yield* this.#children.values()
  }

  clear(): void {
    this.#children.clear()
    for (const { seen } of this.#labels) seen.clear()
  }

  #add(values: readonly string[]): Child {
    const isFull = this.#children.size >= SERIES_MAX
    const bounded = values.map((value, i) => {
      const { seen, valuesMax } = this.#labels[i]!
      if (seen.has(value)) return value
      if (isFull || seen.size >= valuesMax) return OTHER
      seen.add(value)
      return value
    })
    // All known values, in a combination that is new and one too many.
    const key = (isFull ? bounded.map(() => OTHER) : bounded).join(SEPARATOR)
    const known = this.#children.get(key)
    if (known !== undefined) return known.child
    const child = this.#make()
    const pairs =
      key === ''
        ? ''
        : key
            .split(SEPARATOR)
            .map((value, i) => `${this.#labels[i]!.name}="${escapeValue(value)}"`)
            .join(',')
    this.#children.set(key, { pairs, child })
    return child
  }
}

class Simple implements Family {
  readonly #head: Head
  readonly #children: Children<{ value: number }>

  constructor(head: Head, labels: Labels) {
    this.#head = head
    this.#children = new Children(labels, () => ({ value: 0 }))
  }

  change(values: readonly string[], next: (value: number) => number): void {
    const child = this.#children.of(values)
    child.value = next(child.value)
  }

  clear(): void {
    this.#children.clear()
  }

  render(lines: string[]): void {
    const { name } = this.#head
    pushHead(lines, this.#head)
    for (const { pairs, child } of this.#children) lines.push(`${name}${braced(pairs)} ${formatNumber(child.value)}`)
  }
}

class Buckets implements Family, Histogram {
  readonly #head: Head
  readonly #bounds: readonly number[]
  readonly #children: Children<{ counts: Float64Array; sum: number }>

  constructor(head: Head, labels: Labels, bounds: readonly number[]) {
    assert(
      bounds.every((bound, i) => i === 0 || bound > bounds[i - 1]!),
      'bounds ascend',
    )
    this.#head = head
    this.#bounds = bounds
    this.#children = new Children(labels, () => ({ counts: new Float64Array(bounds.length + 1), sum: 0 }))
  }

  observe(value: number, ...values: string[]): void {
    const child = this.#children.of(values)
    const at = this.#bounds.findIndex((bound) => value <= bound)
    child.counts[at === -1 ? this.#bounds.length : at]!++
    child.sum += value
  }

  render(lines: string[]): void {
    const { name } = this.#head
    pushHead(lines, this.#head)
    for (const { pairs, child } of this.#children) {
      let count = 0
      for (let i = 0; i <= this.#bounds.length; i++) {
        count += child.counts[i]!
        const le = `le="${i === this.#bounds.length ? '+Inf' : formatNumber(this.#bounds[i]!)}"`
        lines.push(`${name}_bucket{${pairs === '' ? '' : `${pairs},`}${le}} ${count}`)
      }
      lines.push(`${name}_sum${braced(pairs)} ${formatNumber(child.sum)}`, `${name}_count${braced(pairs)} ${count}`)
    }
  }
}

function pushHead(lines: string[], { name, help, type }: Head): void {
  lines.push(`# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`, `# TYPE ${name} ${type}`)
}

function braced(pairs: string): string {
  return pairs === '' ? '' : `{${pairs}}`
}

function escapeValue(value: string): string {
  return value.slice(0, VALUE_CHARS_MAX).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function formatNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  return String(value)
}
