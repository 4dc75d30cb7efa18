/**
 * Which events make which profile: a table. Whatever is not in it is passed over.
 *
 * | event | profile | values |
 * |---|---|---|
 * | jdk.ExecutionSample, of a thread that does not sleep | process_cpu | period |
 * | the same while the recording's `event` is wall, in any state | wall | period |
 * | profiler.WallClockSample | wall | samples x period |
 * | the same of a running thread while the `event` is wall | process_cpu | samples x period |
 * | jdk.ObjectAllocationInNewTLAB, OutsideTLAB, Sample | memory | 1, bytes |
 * | jdk.JavaMonitorEnter | mutex | 1, nanoseconds |
 * | jdk.ThreadPark | block | 1, nanoseconds |
 * | profiler.LiveObject | memory | 1 |
 * | profiler.Malloc | memory | 1, bytes |
 */

/** Slots of an event's fields. */
export const STACK_TRACE = 0
export const STATE = 1
export const SAMPLES = 2
export const VALUE = 3
export const CONTEXT_ID = 4
export const SPAN_ID = 5
export const SPAN_NAME = 6
export const TRACE_ID_HIGH = 7
export const TRACE_ID_LOW = 8
export const SETTING_NAME = 9
export const SETTING_VALUE = 10
export const EVENT_SLOTS = 11

export interface ProfileType {
  readonly name: string
  readonly types: readonly { readonly type: string; readonly unit: string }[]
  readonly periodType: { readonly type: string; readonly unit: string } | undefined
  /** The first value is a number of samples, each of a period. */
  readonly isSampled: boolean
}

const NANOSECONDS = 'nanoseconds'
const SPACE = { type: 'space', unit: 'bytes' }

function countsAnd(prefix: string, name: string, periodType: ProfileType['periodType']): ProfileType {
  const types = [
    { type: `${prefix}_objects`, unit: 'count' },
    { type: `${prefix}_bytes`, unit: 'bytes' },
  ]
  return { name, types, periodType, isSampled: false }
}

function waits(name: string): ProfileType {
  const types = [
    { type: 'contentions', unit: 'count' },
    { type: 'delay', unit: NANOSECONDS },
  ]
  return { name, types, periodType: { type: name, unit: 'count' }, isSampled: false }
}

function sampled(name: string, type: string): ProfileType {
  const of = { type, unit: NANOSECONDS }
  return { name, types: [of], periodType: of, isSampled: true }
}

export const CPU = 0
export const WALL = 1

/** In the order in which a recording's profiles come. */
export const PROFILE_TYPES: readonly ProfileType[] = [
  sampled('process_cpu', 'cpu'),
  sampled('wall', 'wall'),
  countsAnd('alloc_in_new_tlab', 'memory', SPACE),
  countsAnd('alloc_outside_tlab', 'memory', SPACE),
  countsAnd('alloc_sample', 'memory', SPACE),
  waits('mutex'),
  waits('block'),
  {
    name: 'memory',
    types: [{ type: 'live', unit: 'count' }],
    periodType: { type: 'objects', unit: 'count' },
    isSampled: false,
  },
  countsAnd('malloc', 'memory', undefined),
]

export type EventRole = 'execution' | 'wall-clock' | 'counted' | 'setting'

export interface EventType {
  readonly name: string
  readonly role: EventRole
  /** Row of `PROFILE_TYPES`, where the role alone does not say it. */
  readonly profile: number
  /** The field of the second value. */
  readonly valueField: string
  /** The value is in ticks of the chunk's clock. */
  readonly isTicks: boolean
}

function counted(name: string, profile: number, valueField: string): EventType {
  return { name, role: 'counted', profile, valueField, isTicks: valueField === 'duration' }
}

export const EVENT_TYPES: readonly EventType[] = [
  { name: 'jdk.ExecutionSample', role: 'execution', profile: CPU, valueField: '', isTicks: false },
  { name: 'profiler.WallClockSample', role: 'wall-clock', profile: WALL, valueField: '', isTicks: false },
  counted('jdk.ObjectAllocationInNewTLAB', 2, 'tlabSize'),
  counted('jdk.ObjectAllocationOutsideTLAB', 3, 'allocationSize'),
  counted('jdk.ObjectAllocationSample', 4, 'weight'),
  counted('jdk.JavaMonitorEnter', 5, 'duration'),
  counted('jdk.ThreadPark', 6, 'duration'),
  counted('profiler.LiveObject', 7, ''),
  counted('profiler.Malloc', 8, 'size'),
  { name: 'jdk.ActiveSetting', role: 'setting', profile: 0, valueField: '', isTicks: false },
]

/** The fields that are read of an event: its own value, and what an agent says of the sample's context. */
export function slotsOf({ role, valueField }: EventType): Readonly<Record<string, number>> {
  if (role === 'setting') return { name: SETTING_NAME, value: SETTING_VALUE }
  const context = {
    stackTrace: STACK_TRACE,
    contextId: CONTEXT_ID,
    spanId: SPAN_ID,
    spanName: SPAN_NAME,
    traceIdHi: TRACE_ID_HIGH,
    traceIdLo: TRACE_ID_LOW,
  }
  if (role === 'execution') return { ...context, state: STATE }
  if (role === 'wall-clock') return { ...context, state: STATE, samples: SAMPLES }
  return valueField === '' ? context : { ...context, [valueField]: VALUE }
}
