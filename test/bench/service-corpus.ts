/**
 * The corpus of the end-to-end case: services x instances x time, from a seed, as push requests that are ready to send.
 *
 * 1. Every service runs one program: a pool of stacks that share their roots, in the proportions of the recorded
 *    profiles. Three are CPU profiles (count and time of one stack), every fourth is a heap (objects and bytes,
 *    allocated and in use).
 * 2. A profile draws stacks from the pool, few of them often (rank^-1); values are whole sampling periods; it has its
 *    own time, a little off the beat of its instance.
 * 3. Each is encoded by our own encoder and compressed as agents do.
 *
 * Same settings, same bytes. It must not be generated while something is measured: that takes seconds.
 */
import { create, toBinary } from '@bufbuild/protobuf'
import { gzipSync } from 'node:zlib'
import { encodePprof, type LocationModel, type SampleModel, type ValueTypeModel } from '#core/pprof/encode.ts'
import { MS_PER_DAY } from '#core/units.ts'
import { PushRequestSchema } from '#platform/gen/push/v1/push_pb.ts'
import { seededRandom } from '../support/profiles.ts'

export interface CorpusShape {
  readonly services: number
  readonly instances: number
  /** Of one instance. */
  readonly everyMs: number
  /** The end of 24 hours. */
  readonly endMs: number
}

/** What is the same in every run but the times: 2,304 profiles, 0.8 M samples, 138 MB raw: 6 to 10 CPU-seconds of the product. */
export const SHAPE = { services: 4, instances: 4, everyMs: 600_000 }

export interface ServicePush {
  readonly service: string
  readonly body: Uint8Array<ArrayBuffer>
  readonly gzip: Uint8Array
  readonly rawBytes: number
  /** Stacks with values. */
  readonly samples: number
  /** Of the first sample type. */
  readonly total: number
}

interface Program {
  readonly name: string
  readonly types: readonly ValueTypeModel[]
  readonly stacks: readonly (readonly LocationModel[])[]
}

const POOL_STACKS = 3_000
const FUNCTIONS = 1_200
/** Frameworks put that much below any handler. */
const ROOT_DEPTH = 12
const DRAWS = 700
const PERIOD_NANOS = 10_000_000
const CPU_TYPES = [valueType('samples', 'count'), valueType('cpu', 'nanoseconds')]
const HEAP_TYPES = [
  valueType('alloc_objects', 'count'),
  valueType('alloc_space', 'bytes'),
  valueType('inuse_objects', 'count'),
  valueType('inuse_space', 'bytes'),
]

export const CPU_TYPE = 'process_cpu:samples:count:cpu:nanoseconds'

/** In the order of time, as they would arrive. */
export function generatePushes({ services, instances, everyMs, endMs }: CorpusShape): ServicePush[] {
  const programs = Array.from({ length: services }, (_, i) => programOf(i))
  const rounds = Math.floor(MS_PER_DAY / everyMs)
  const pushes: ServicePush[] = []
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < services * instances; i++) {
      const random = seededRandom(1 + round * services * instances + i)
      const timeMs = endMs - MS_PER_DAY + round * everyMs + random(everyMs >> 1)
      pushes.push(pushOf(programs[i % services]!, Math.floor(i / services), { timeMs, random }))
    }
  }
  return pushes
}

function programOf(index: number): Program {
  const random = seededRandom(100 + index)
  const frames = Array.from({ length: FUNCTIONS }, (_, i) => locationOf(index, i))
  const stacks: LocationModel[][] = Array.from({ length: 10 }, () =>
    Array.from({ length: ROOT_DEPTH }, () => frames[random(FUNCTIONS)]!),
  )
  // A stack extends a random earlier one by one frame: depth grows with the logarithm of the pool.
  // Equal stacks would be one sample to the server and two here.
  const taken = new Set<number>()
  while (stacks.length < POOL_STACKS) {
    const [parent, frame] = [random(stacks.length), random(FUNCTIONS)]
    if (taken.has(parent * FUNCTIONS + frame)) continue
    taken.add(parent * FUNCTIONS + frame)
    stacks.push([frames[frame]!, ...stacks[parent]!])
  }
  return { name: `shop-${index}`, types: index % 4 === 3 ? HEAP_TYPES : CPU_TYPES, stacks }
}

function locationOf(program: number, id: number): LocationModel {
  const name = `github.com/acme/shop${program}/pkg${id % 41}.(*Handler${id % 7}).method${id}`
  const filename = `/src/shop${program}/pkg${id % 41}/file${id % 5}.go`
  const line = BigInt(10 + ((id * 13) % 400))
  return {
    mapping: { filename: `shop${program}`, hasFunctions: true },
    address: BigInt(0x400000 + id * 64),
    lines: [{ name, systemName: name, filename, line }],
  }
}

interface Moment {
  readonly timeMs: number
  readonly random: (below: number) => number
}

function pushOf(program: Program, instance: number, { timeMs, random }: Moment): ServicePush {
  const counts = new Map<number, number>()
  for (let draw = 0; draw < DRAWS; draw++) {
    // Density 1/rank: the exponent of a uniform number.
    const rank = Math.floor(program.stacks.length ** (random(1 << 24) / (1 << 24))) - 1
    counts.set(rank, (counts.get(rank) ?? 0) + 1 + random(3))
  }
  const isHeap = program.types === HEAP_TYPES
  const samples = [...counts].map(([rank, count]): SampleModel => {
    const values = isHeap ? heapValues(rank, count) : [count, count * PERIOD_NANOS]
    return { stack: program.stacks[rank]!, values: values.map(BigInt) }
  })
  const raw = encodePprof({
    types: program.types,
    samples,
    periodType: isHeap ? valueType('space', 'bytes') : valueType('cpu', 'nanoseconds'),
    period: BigInt(isHeap ? 524_288 : PERIOD_NANOS),
    timeNanos: BigInt(timeMs) * 1_000_000n,
    durationNanos: 10_000_000_000n,
  })
  const gzip = gzipSync(raw)
  const labels = [
    { name: '__name__', value: isHeap ? 'memory' : 'process_cpu' },
    { name: 'service_name', value: program.name },
    { name: 'instance', value: `${program.name}-${instance}` },
  ]
  const message = create(PushRequestSchema, { series: [{ labels, samples: [{ rawProfile: gzip }] }] })
  return {
    service: program.name,
    body: toBinary(PushRequestSchema, message),
    gzip,
    rawBytes: raw.length,
    samples: samples.length,
    total: Number(samples.reduce((sum, { values }) => sum + values[0]!, 0n)),
  }
}

/** One size of object a stack, as an allocation site has; a part of what was allocated is still in use. */
function heapValues(rank: number, count: number): number[] {
  const sizeBytes = 16 << (rank % 9)
  const live = count >> 1
  return [count, count * sizeBytes, live, live * sizeBytes].map((value) => value * 32)
}

function valueType(type: string, unit: string): ValueTypeModel {
  return { type, unit }
}
