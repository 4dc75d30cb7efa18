/**
 * Mends stacks that Go cut off at the root: its heap profiles keep the 32 innermost frames, its CPU profiles 64. A cut stack
 * shares frames with others that reach further towards the root, and what it lacks is taken from there.
 *
 * 1. Only profiles of Go's own sample types, as deep as a cut makes them. A heap profile that is deeper than 32 comes from
 *    a Go that keeps 128.
 * 2. Stacks of 24 frames and more are grouped by their 24 root-most ones.
 * 3. Of each group the eight runs of 16 frames that end 1 to 8 frames above its root are noted. Of two groups with one run
 *    the one counts that has more below it.
 * 4. A group whose own 16 root-most frames are such a run continues in the group that was noted, by as many frames; that
 *    one may continue in a third. All stacks of the group get the frames that are missing.
 *
 * Runs that lead to each other for ever are recursion: then nothing is mended. Must not change values or merge samples.
 */
import { GrowingUint32 } from '../wire/growing.ts'
import { hashStep, mix32 } from '../wire/hash.ts'
import { type DecodedProfile, NO_ROW } from './profile.ts'
import { stringAt } from './string-table.ts'

/** Frames of a group's name, of a run, and how far above the root runs are looked for. */
const SUFFIX_FRAMES = 24
const RUN_FRAMES = 16
const SHIFT_MAX = SUFFIX_FRAMES - RUN_FRAMES

/** Groups in a row; deeper is recursion. */
const CHAIN_MAX = 56

const HEAP_TYPES: ReadonlySet<string> = new Set(['alloc_objects', 'alloc_space', 'inuse_objects', 'inuse_space'])
const HEAP_FRAMES_MAX = 32
const CPU_FRAMES_MAX = 64
/** Inlined frames share a location, so a cut stack may be a few locations short of the limit. */
const SHORT_BY = 4

/** UTF-16 units of a location in a group's name. */
const UNITS = 2

interface Group {
  /** Its 24 root-most locations, leaf first, two units each. */
  readonly name: string
  readonly samples: number[]
  /** The group that goes on where this one ends, and by how many frames; undefined if this one is whole. */
  next: Continuation | undefined
}

interface Continuation {
  readonly group: Group
  readonly frames: number
}

/** `locationId`: of each location row; equal ids are one location. The same object if there is nothing to mend. */
export function mendTruncatedStacks(profile: DecodedProfile, locationId: Uint32Array): DecodedProfile {
  if (!mayBeTruncated(profile)) return profile
  const groups = groupStacks(profile, locationId)
  linkGroups(groups)
  const missing = new Map<number, Uint32Array>()
  for (const group of groups) {
    const frames = missingFrames(profile, group)
    if (frames === 'recursion') break
    if (frames !== undefined) for (const sample of group.samples) missing.set(sample, frames)
  }
  return missing.size === 0 ? profile : { ...profile, ...extendStacks(profile, missing) }
}

export function mayBeTruncated(profile: DecodedProfile): boolean {
  const types = profile.sampleTypes.map(({ type }) => stringAt(profile, type))
  const depth = profile.sampleDepthMax
  if (types.some((type) => HEAP_TYPES.has(type))) return depth >= HEAP_FRAMES_MAX - SHORT_BY && depth <= HEAP_FRAMES_MAX
  return types.includes('cpu') && depth >= CPU_FRAMES_MAX - SHORT_BY
}

/** In the order of their names, which decides between equals. */
function groupStacks(profile: DecodedProfile, locationId: Uint32Array): Group[] {
  const { sampleCount, sampleLocationStart, sampleLocation } = profile
  const suffixes = new SuffixTable()
  const groups: Group[] = []
  const suffix = suffixes.suffix
  for (let sample = 0; sample < sampleCount; sample++) {
    const start = sampleLocationStart[sample + 1]! - SUFFIX_FRAMES
    if (start < sampleLocationStart[sample]!) continue
    for (let i = 0; i < SUFFIX_FRAMES; i++) {
      const row = sampleLocation[start + i]!
      suffix[i] = row === NO_ROW ? 0 : locationId[row]!
    }
    const group = suffixes.indexOf()
    if (group === groups.length) groups.push({ name: nameOf(suffix), samples: [sample], next: undefined })
    else groups[group]!.samples.push(sample)
  }
  groups.sort((a, b) => (a.name < b.name ? -1 : 1))
  // The peers leave the last group alone, as a source and as a target, unless every group has one stack.
  const before = groups.slice(0, -1).reduce((sum, { samples }) => sum + samples.length, 0)
  return before < groups.length ? groups : groups.slice(0, -1)
}

function nameOf(suffix: Uint32Array): string {
  const units = new Uint16Array(SUFFIX_FRAMES * UNITS)
  for (let i = 0; i < SUFFIX_FRAMES; i++) {
    const id = suffix[i]!
    // Lowest byte first: the order of the peers, which compare ids as they lie in memory.
    units[i * UNITS] = ((id & 0xff) << 8) | ((id >>> 8) & 0xff)
    units[i * UNITS + 1] = ((id >>> 8) & 0xff00) | (id >>> 24)
  }
  return String.fromCharCode(...units)
}

/** Numbers of different suffixes, in the order of their first use. */
class SuffixTable {
  /** What `indexOf` looks for. */
  readonly suffix = new Uint32Array(SUFFIX_FRAMES)
  readonly #known = new GrowingUint32(SUFFIX_FRAMES * 64)
  #count = 0
  /** Open hash of numbers + 1; 0 = free. At most half full. */
  #slots = new Uint32Array(128)

  indexOf(): number {
    const { suffix } = this
    let hash = 0
    for (let i = 0; i < SUFFIX_FRAMES; i++) hash = hashStep(hash, suffix[i]!)
    const mask = this.#slots.length - 1
    let slot = mix32(hash) & mask
    for (let entry = this.#slots[slot]!; entry !== 0; entry = this.#slots[slot]!) {
      if (this.#equals(entry - 1)) return entry - 1
      slot = (slot + 1) & mask
    }
    this.#known.reserve(SUFFIX_FRAMES)
    this.#known.array.set(suffix, this.#known.count)
    this.#known.count += SUFFIX_FRAMES
    this.#slots[slot] = ++this.#count
    if (this.#count * 2 > this.#slots.length) this.#rehash()
    return this.#count - 1
  }

  #equals(index: number): boolean {
    const known = this.#known.array
    const { suffix } = this
    for (let i = 0, at = index * SUFFIX_FRAMES; i < SUFFIX_FRAMES; i++, at++) if (known[at] !== suffix[i]) return false
    return true
  }

  #rehash(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2)
    const mask = this.#slots.length - 1
    for (let index = 0; index < this.#count; index++) {
      let hash = 0
      for (let i = 0; i < SUFFIX_FRAMES; i++) hash = hashStep(hash, this.#known.array[index * SUFFIX_FRAMES + i]!)
      let slot = mix32(hash) & mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
      this.#slots[slot] = index + 1
    }
  }
}

function linkGroups(groups: readonly Group[]): void {
  const furthest = new Map<string, Continuation>()
  for (const group of groups) {
    for (let frames = 1; frames <= SHIFT_MAX; frames++) {
      const run = runOf(group, frames)
      if (frames > (furthest.get(run)?.frames ?? 0)) furthest.set(run, { group, frames })
    }
  }
  for (const group of groups) {
    const next = furthest.get(runOf(group, 0))
    if (next !== undefined && next.group !== group) group.next = next
  }
}

/** The 16 frames that end so many above the root. */
function runOf(group: Group, frames: number): string {
  const end = SUFFIX_FRAMES - frames
  return group.name.slice((end - RUN_FRAMES) * UNITS, end * UNITS)
}

/** Root-most location rows that the stacks of a group lack; undefined if they are whole. */
function missingFrames(profile: DecodedProfile, group: Group): Uint32Array | 'recursion' | undefined {
  let frames = 0
  let last = group
  for (let links = 0; last.next !== undefined; links++) {
    if (links === CHAIN_MAX) return 'recursion'
    frames += last.next.frames
    last = last.next.group
  }
  if (frames === 0) return undefined
  const { sampleLocationStart, sampleLocation } = profile
  const depthOf = (sample: number) => sampleLocationStart[sample + 1]! - sampleLocationStart[sample]!
  // Stacks of a group have 24 frames in common; a chain may need more, and the deepest one has most.
  const reference = last.samples.reduce((deepest, sample) => (depthOf(sample) > depthOf(deepest) ? sample : deepest))
  if (frames >= depthOf(reference)) return undefined
  const end = sampleLocationStart[reference + 1]!
  return sampleLocation.slice(end - frames, end)
}

function extendStacks(
  profile: DecodedProfile,
  missing: ReadonlyMap<number, Uint32Array>,
): Pick<DecodedProfile, 'sampleLocationStart' | 'sampleLocation' | 'sampleDepthMax'> {
  const { sampleCount, sampleLocationStart, sampleLocation } = profile
  const added = [...missing.values()].reduce((sum, frames) => sum + frames.length, 0)
  const start = new Uint32Array(sampleCount + 1)
  const location = new Uint32Array(sampleLocationStart[sampleCount]! + added)
  let at = 0
  let depthMax = 0
  for (let sample = 0; sample < sampleCount; sample++) {
    start[sample] = at
    for (let i = sampleLocationStart[sample]!; i < sampleLocationStart[sample + 1]!; i++)
      location[at++] = sampleLocation[i]!
    const frames = missing.get(sample)
    if (frames !== undefined) {
      location.set(frames, at)
      at += frames.length
    }
    depthMax = Math.max(depthMax, at - start[sample]!)
  }
  start[sampleCount] = at
  return { sampleLocationStart: start, sampleLocation: location, sampleDepthMax: depthMax }
}
