/**
 * A `.cpuprofile` (the format of Chrome's developer tools, which Bun writes) as a pprof model. Pure.
 *
 * 1. A node is a frame below its parent; a sample names a node, its delta is the time until the next one.
 * 2. Stacks that do not pass the given root function are dropped; the rest begin at it.
 * 3. Of frames of the runtime's own code, one below the other, the outermost stays: how zlib calls itself is not ours.
 * 4. Equal stacks are one sample: how often it was seen, and its time.
 */
import * as v from 'valibot'
import type { LocationModel, ProfileModel, SampleModel } from '#core/pprof/encode.ts'

export const cpuprofileSchema = v.object({
  nodes: v.array(
    v.object({
      id: v.number(),
      callFrame: v.object({ functionName: v.string(), url: v.string(), lineNumber: v.number() }),
      children: v.optional(v.array(v.number())),
    }),
  ),
  startTime: v.number(),
  endTime: v.number(),
  samples: v.array(v.number()),
  /** Microseconds. */
  timeDeltas: v.array(v.number()),
})

export type Cpuprofile = v.InferOutput<typeof cpuprofileSchema>

/** `root`: the name of the function whose callees count. */
export function pprofOfCpuprofile(profile: Cpuprofile, root: string): ProfileModel {
  const parents = new Map<number, number>()
  for (const { id, children } of profile.nodes) for (const child of children ?? []) parents.set(child, id)
  const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame.functionName]))
  const locations = new Map(profile.nodes.map(({ id, callFrame }) => [id, locationOf(callFrame)]))
  const own = new Set(profile.nodes.filter(({ callFrame }) => isOwn(callFrame.url)).map(({ id }) => id))
  const counts = new Map<number, { count: number; micros: number }>()
  for (const [i, node] of profile.samples.entries()) {
    const sum = counts.get(node) ?? { count: 0, micros: 0 }
    sum.count++
    sum.micros += Math.max(0, profile.timeDeltas[i] ?? 0)
    counts.set(node, sum)
  }
  const samples = [...counts].flatMap(([node, { count, micros }]): SampleModel[] => {
    const path: number[] = []
    for (let at: number | undefined = node; at !== undefined; at = parents.get(at)) {
      path.push(at)
      if (names.get(at) !== root) continue
      const shown = path.filter((id, i) => own.has(id) || i === path.length - 1 || own.has(path[i + 1]!))
      const stack = shown.map((id) => locations.get(id)!)
      return [{ stack, values: [BigInt(count), BigInt(Math.round(micros * 1_000))] }]
    }
    return []
  })
  return {
    types: [
      { type: 'samples', unit: 'count' },
      { type: 'cpu', unit: 'nanoseconds' },
    ],
    samples,
    periodType: { type: 'cpu', unit: 'nanoseconds' },
    period: 1_000_000n,
    durationNanos: BigInt(Math.round((profile.endTime - profile.startTime) * 1_000)),
  }
}

/** Paths, as such or as a URL; the runtime's modules are `node:zlib`, its native functions have none. */
function isOwn(url: string): boolean {
  return url.startsWith('/') || url.startsWith('file:')
}

function locationOf({ functionName, url, lineNumber }: Cpuprofile['nodes'][number]['callFrame']): LocationModel {
  const name = functionName === '' ? 'anonymous' : functionName
  const filename = url.replace(/^file:\/\//, '')
  // Lines count from 0 there, -1 where there is none.
  return { lines: [{ name, systemName: name, filename, line: BigInt(lineNumber + 1) }] }
}
