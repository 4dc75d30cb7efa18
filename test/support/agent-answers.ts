/**
 * Judges what a server answers about a service by the profiles that agents were seen to send: per sample type, the total
 * of every stack. The expected side comes from `reference-pprof.ts`, which shares nothing with the product.
 */
import assert from 'node:assert/strict'
import { decodeReference } from './reference-pprof.ts'
import { askFlameGraph, askMetadata, type Send } from './server-client.ts'

/** More nodes than any of these graphs has: nothing is cut. */
const NODES_MAX = 1_048_576

/** Sum of values by `sample type:unit`, then by path. Samples without a stack are left out, as in a flame graph. */
type Stacks = Map<string, Map<string, bigint>>

function add(stacks: Stacks, type: string, path: string, value: bigint): void {
  if (value === 0n) return
  const paths = stacks.get(type) ?? new Map<string, bigint>()
  paths.set(path, (paths.get(path) ?? 0n) + value)
  stacks.set(type, paths)
}

function stacksOf(profiles: readonly Uint8Array[]): Stacks {
  const stacks: Stacks = new Map()
  for (const profile of profiles.filter(({ length }) => length > 0)) {
    const { types, samples } = decodeReference(profile)
    for (const { stack, values } of samples) {
      const frames = stack.flatMap((location) => location?.lines ?? [])
      if (frames.length === 0) continue
      const names = frames.map((line) => withoutTypeParameters((JSON.parse(line!.function) as string[])[0]!))
      types.forEach((type, t) =>
        add(stacks, (JSON.parse(type) as string[]).join(':'), names.toReversed().join('\n'), values[t]!),
      )
    }
  }
  return stacks
}

export interface ProfileType {
  readonly ID: string
  readonly sampleType: string
  readonly sampleUnit: string
}

export async function answeredServiceTypes(send: Send, service: string): Promise<ProfileType[]> {
  const request = { matchers: [`{service_name="${service}"}`], labelNames: ['__profile_type__'] }
  const { labelsSet } = (await askMetadata(send, 'Series', request)) as {
    labelsSet: { labels: { value: string }[] }[]
  }
  const own = new Set(labelsSet.map(({ labels }) => labels[0]!.value))
  const { profileTypes } = (await askMetadata(send, 'ProfileTypes')) as { profileTypes: ProfileType[] }
  return profileTypes.filter(({ ID }) => own.has(ID))
}

/** The same from the server: of every profile type of the service, the self values of all nodes. */
async function answeredStacks(send: Send, service: string): Promise<{ stacks: Stacks; totals: Map<string, bigint> }> {
  const stacks: Stacks = new Map()
  const totals = new Map<string, bigint>()
  for (const { ID: profileTypeID, sampleType, sampleUnit } of await answeredServiceTypes(send, service)) {
    const type = `${sampleType}:${sampleUnit}`
    const labelSelector = `{service_name="${service}"}`
    const graph = await askFlameGraph(send, { profileTypeID, labelSelector, maxNodes: NODES_MAX })
    totals.set(type, (totals.get(type) ?? 0n) + graph.total)
    for (const { path, self } of graph.nodes) add(stacks, type, path.slice(1).join('\n'), self)
  }
  return { stacks, totals }
}

export interface SentProfiles {
  readonly service: string
  /** pprofs, inflated; an empty array is a request without one. */
  readonly profiles: readonly Uint8Array[]
  /** `sample type:unit` that must have a total above zero. */
  readonly expectedTypes: readonly string[]
}

export async function assertStoredAsSent(send: Send, wanted: SentProfiles): Promise<void> {
  const { service, profiles, expectedTypes } = wanted
  const sent = stacksOf(profiles)
  const { stacks, totals } = await answeredStacks(send, service)
  for (const type of expectedTypes) assert.ok((totals.get(type) ?? 0n) > 0n, `no ${type}, but ${[...totals.keys()]}`)
  for (const [type, paths] of sent) {
    const total = [...paths.values()].reduce((sum, value) => sum + value, 0n)
    assert.equal(totals.get(type), total, `total of ${type}`)
    assert.deepEqual(sorted(stacks.get(type)!), sorted(paths), `stacks of ${type}`)
  }
  assert.deepEqual([...stacks.keys()].sort(), [...sent.keys()].sort())
}

/** Go names a generic function by the shapes of its types; they are not stored. An agent meets one in itself now and then. */
function withoutTypeParameters(name: string): string {
  return name.replace(/\[go\.shape\..*\]/, '')
}

function sorted(paths: Map<string, bigint>): [string, bigint][] {
  return [...paths].sort(([a], [b]) => (a < b ? -1 : 1))
}

export async function assertKnownNames(send: Send, service: string, patterns: readonly RegExp[]): Promise<void> {
  const names = new Set<string>()
  for (const { ID: profileTypeID } of await answeredServiceTypes(send, service)) {
    const labelSelector = `{service_name="${service}"}`
    for (const name of (await askFlameGraph(send, { profileTypeID, labelSelector })).names) names.add(name)
  }
  for (const pattern of patterns)
    assert.ok(
      [...names].some((name) => pattern.test(name)),
      `no ${pattern}`,
    )
}
