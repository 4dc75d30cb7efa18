/**
 * What the name of an application says about the values pushed under it: `app.alloc_space` are bytes of `app`. So it is in
 * the formats that have no types of their own: collapsed stacks, trees, tries, speedscope.
 *
 * 1. The part behind the last dot is a suffix of `TYPES`; a name without a dot means CPU.
 * 2. CPU and wall samples were taken at a rate: each one is a period long, and values become nanoseconds. With a rate of 0
 *    nothing is known of their length, and they stay counts.
 */
export interface AppType {
  /** `__name__`. */
  readonly name: string
  readonly type: string
  readonly unit: string
}

const CPU: AppType = { name: 'process_cpu', type: 'samples', unit: 'count' }
const WALL: AppType = { name: 'wall', type: 'samples', unit: 'count' }
const BLOCK_COUNT: AppType = { name: 'block', type: 'contentions', unit: 'count' }
const BLOCK_DURATION: AppType = { name: 'block', type: 'delay', unit: 'nanoseconds' }

const TYPES: Readonly<Record<string, AppType>> = {
  cpu: CPU,
  itimer: CPU,
  wall: WALL,
  seconds: WALL,
  milliseconds: WALL,
  microseconds: WALL,
  nanoseconds: WALL,
  inuse_objects: memory('inuse_objects', 'count'),
  alloc_objects: memory('alloc_objects', 'count'),
  inuse_space: memory('inuse_space', 'bytes'),
  alloc_space: memory('alloc_space', 'bytes'),
  bytes: memory('samples', 'bytes'),
  goroutines: { name: 'goroutine', type: 'goroutines', unit: 'count' },
  mutex_count: { name: 'mutex', type: 'contentions', unit: 'count' },
  mutex_duration: { name: 'mutex', type: 'delay', unit: 'nanoseconds' },
  block_count: BLOCK_COUNT,
  lock_count: BLOCK_COUNT,
  block_duration: BLOCK_DURATION,
  lock_duration: BLOCK_DURATION,
  alloc_in_new_tlab_objects: memory('alloc_in_new_tlab_objects', 'count'),
  alloc_in_new_tlab_bytes: memory('alloc_in_new_tlab_bytes', 'bytes'),
  alloc_outside_tlab_objects: memory('alloc_outside_tlab_objects', 'count'),
  alloc_outside_tlab_bytes: memory('alloc_outside_tlab_bytes', 'bytes'),
  live: memory('live', 'count'),
  exceptions: { name: 'exceptions', type: 'samples', unit: 'count' },
}

function memory(type: string, unit: string): AppType {
  return { name: 'memory', type, unit }
}

export interface NamedApp {
  /** Without the suffix. */
  readonly service: string
  /** Undefined if the name has none. */
  readonly suffix: string | undefined
  readonly type: AppType
}

export type AppResult = { readonly ok: true; readonly app: NamedApp } | { readonly ok: false; readonly message: string }

export function parseAppType(name: string): AppResult {
  const dot = name.lastIndexOf('.')
  if (dot < 0) return { ok: true, app: { service: name, suffix: undefined, type: CPU } }
  const suffix = name.slice(dot + 1)
  const type = Object.hasOwn(TYPES, suffix) ? TYPES[suffix] : undefined
  if (type !== undefined) return { ok: true, app: { service: name.slice(0, dot), suffix, type } }
  const known = Object.keys(TYPES).join(', ')
  return {
    ok: false,
    message: `unknown profile type: ${suffix}; the part of the name behind its last dot is one of ${known}: write for example ${name}.cpu`,
  }
}

export interface SampledType {
  readonly name: string
  readonly type: string
  readonly unit: string
  /** Of one sample, in nanoseconds; undefined if values are no samples. */
  readonly periodNanos: bigint | undefined
}

const NANOS_PER_SECOND = 1_000_000_000

/** `sampleRate`: samples per second, a whole number; 0 = not known. */
export function sampledType(app: AppType, sampleRate: number): SampledType {
  const isTime = app === CPU || app === WALL
  if (!isTime || sampleRate === 0) return { ...app, periodNanos: undefined }
  const type = app === CPU ? 'cpu' : 'wall'
  // Faster than once a nanosecond is no rate; such samples have the shortest length there is.
  const periodNanos = BigInt(Math.max(1, Math.floor(NANOS_PER_SECOND / sampleRate)))
  return { name: app.name, type, unit: 'nanoseconds', periodNanos }
}
