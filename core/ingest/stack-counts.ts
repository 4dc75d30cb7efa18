/**
 * Stacks by frame names with a value each, as the text formats of `/ingest` have them: a tree of names, root first. Equal
 * stacks are one, their values are added.
 *
 * `encode` turns it into a pprof with one sample type, so that all that holds for pushed profiles holds for these. It is for
 * formats of small tools and old agents: what comes often is pprof, and is not decoded twice.
 */
import { encodePprof, type LocationModel, type SampleModel } from '../pprof/encode.ts'
import type { ProfileFault } from '../pprof/profile.ts'
import { MIB } from '../units.ts'
import type { SampledType } from './app-type.ts'

/** Bytes of names looked up, equal ones included: a trie may repeat a long one a million times in a small body. */
const NAME_UNITS_MAX = 64 * MIB
/** Of all stacks that are written out: 16,000 of 1,000 frames. A tree of a few bytes a node may hold far more. */
const FRAMES_MAX = 16_000_000
/**
 * Names, and frames of the tree: a body of 4 MiB may be nothing but separators, and a node takes a hundred bytes. A node and
 * a name fit into one exact double.
 */
const ROWS_MAX = 2 ** 20

const INT64_MAX = 2n ** 63n - 1n

export const ROOT = 0

export class StackFault extends Error {
  readonly reason: ProfileFault['reason']

  constructor(message: string, reason: ProfileFault['reason'] = 'malformed_profile') {
    super(message)
    this.reason = reason
  }
}

export interface StackLimits {
  readonly maxSamples: number
  readonly maxStackDepth: number
}

export interface StackProfile {
  readonly type: SampledType
  /** Values are numbers of samples, each of the type's period. */
  readonly countsSamples: boolean
  readonly timeNanos: bigint
  readonly durationNanos: bigint
}

export interface Frame {
  readonly name: string
  readonly file?: string
  readonly line?: number
}

export class StackCounts {
  readonly #frameIds = new Map<string, number>()
  readonly #frames: Frame[] = []
  readonly #parent: number[] = [-1]
  readonly #frame: number[] = [-1]
  readonly #depth: number[] = [0]
  readonly #nodeIds = new Map<number, number>()
  /** Of nodes that a stack ends in. */
  readonly #values = new Map<number, bigint>()
  #nameUnits = 0

  /** Throws `StackFault`. */
  frame(frame: Frame): number {
    this.#nameUnits += frame.name.length
    if (this.#nameUnits > NAME_UNITS_MAX) throw new StackFault(`names of more than ${NAME_UNITS_MAX} characters in all`)
    const key = frame.file === undefined ? frame.name : `${frame.name}\n${frame.file}\n${frame.line ?? 0}`
    let id = this.#frameIds.get(key)
    if (id === undefined) {
      id = this.#frames.length
      if (id === ROWS_MAX) throw new StackFault(`more than ${ROWS_MAX} names`)
      this.#frameIds.set(key, id)
      this.#frames.push(frame)
    }
    return id
  }

  /** The stack of `parent` with one more frame. */
  child(parent: number, frame: number): number {
    const key = parent * ROWS_MAX + frame
    let node = this.#nodeIds.get(key)
    if (node === undefined) {
      node = this.#parent.length
      if (node === ROWS_MAX) throw new StackFault(`more than ${ROWS_MAX} frames in a tree`)
      this.#nodeIds.set(key, node)
      this.#parent.push(parent)
      this.#frame.push(frame)
      this.#depth.push(this.#depth[parent]! + 1)
    }
    return node
  }

  parent(node: number): number {
    return this.#parent[node]!
  }

  frameOf(node: number): number {
    return this.#frame[node]!
  }

  /** What is not above zero does not count. */
  add(node: number, value: bigint): void {
    if (value > 0n) this.#values.set(node, (this.#values.get(node) ?? 0n) + value)
  }

  get stackCount(): number {
    return this.#values.size
  }

  /** Throws `StackFault`. */
  encode(profile: StackProfile, limits: StackLimits): Uint8Array {
    this.#check(limits)
    const { type, timeNanos, durationNanos } = profile
    const scale = (profile.countsSamples ? type.periodNanos : undefined) ?? 1n
    const mapping = { hasFunctions: true }
    const locations = this.#frames.map(
      ({ name, file, line }): LocationModel => ({
        mapping,
        lines: [{ name, ...(file === undefined ? {} : { filename: file }), line: BigInt(line ?? 0) }],
      }),
    )
    const samples: SampleModel[] = []
    for (const [node, count] of this.#values) {
      const value = count * scale
      if (value > INT64_MAX) throw new StackFault(`value ${value} of a stack passes 2^63 - 1`)
      samples.push({
        stack: this.#stackOf(node, limits.maxStackDepth).map((frame) => locations[frame]!),
        values: [value],
      })
    }
    return encodePprof({
      types: [{ type: type.type, unit: type.unit }],
      samples,
      timeNanos,
      durationNanos,
      ...(type.periodNanos === undefined
        ? {}
        : { periodType: { type: 'cpu', unit: 'nanoseconds' }, period: type.periodNanos }),
    })
  }

  #check({ maxSamples, maxStackDepth }: StackLimits): void {
    if (maxSamples > 0 && this.stackCount > maxSamples) {
      throw new StackFault(
        `the profile exceeds the samples count limit (maxSamples, actual: ${this.stackCount}, limit: ${maxSamples})`,
        'samples_limit',
      )
    }
    let frames = 0
    for (const node of this.#values.keys()) frames += Math.min(this.#depth[node]!, maxStackDepth || this.#depth[node]!)
    if (frames > FRAMES_MAX) throw new StackFault(`stacks of ${frames} frames in all, ${FRAMES_MAX} are allowed`)
  }

  /** Frames, leaf first; of a stack that is too deep the root-most ones. */
  #stackOf(node: number, depthMax: number): number[] {
    const stack: number[] = []
    let at = node
    if (depthMax > 0) while (this.#depth[at]! > depthMax) at = this.#parent[at]!
    for (; at !== ROOT; at = this.#parent[at]!) stack.push(this.#frame[at]!)
    return stack
  }
}
