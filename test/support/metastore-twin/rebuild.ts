/**
 * The twin loses its database and is rebuilt from the bucket, at one instant: what apps/metastore/rebuild*.ts do over
 * Postgres, with the same decisions (core/recovery, core/retention).
 *
 * Settings come back whole, as from a dump of this moment. Ids of objects that are gone stay registered: the product has
 * graces of minutes and a day for commits that come late, a world has seconds.
 * It must not look at what the lost tables held, but for deletions of tenants: their objects name what they hide.
 */
import { openDataset } from '#core/block/dataset-head.ts'
import { decodeFooter, footerRange, type ObjectFooter } from '#core/block/footer.ts'
import { parseObjectKey } from '#core/block/object-key.ts'
import { decodeProfileIds, FetchedRanges } from '#core/block/read.ts'
import type { Codec } from '#core/ports/codec.ts'
import { labelSetsOfHead } from '#core/recovery/head-label-sets.ts'
import { attemptOf, decideLineage } from '#core/recovery/lineage.ts'
import { type Fate, mergedFateIn, type TenantObject } from '#core/retention/tenant-object.ts'
import { compareTokens } from './tokens.ts'
import { isExpired } from './retention.ts'
import type { HeldDataset, TwinState } from './state.ts'

interface Found {
  readonly footer: ObjectFooter
  readonly bytes: Uint8Array
}

export interface BucketDeps {
  readonly objects: ReadonlyMap<string, Uint8Array>
  readonly codec: Codec
}

export function rebuild(state: TwinState, { objects, codec }: BucketDeps): void {
  const deaths = deathsOf(state)
  const found = new Map<string, Found>()
  for (const [key, bytes] of objects) {
    const objectId = parseObjectKey(key)
    if (objectId === undefined) continue
    const range = footerRange(bytes.length, bytes)
    found.set(objectId, { footer: decodeFooter(bytes.subarray(range.offset), bytes.length), bytes })
  }
  const decisions = decideLineage(
    [...found.values()].map(({ footer }) => ({ ...footer, datasets: footer.datasets.map((each) => ({ ...each })) })),
  )
  const live = new Map(decisions.map((decision) => [decision.objectId, decision.live]))
  state.loseTables([...found.keys()])
  const adopter = new Adopter(state, codec, { deaths, found })
  const byLevel = [...found.values()].sort((a, b) => order(a.footer, b.footer))
  for (const { footer, bytes } of byLevel) adopter.adopt(footer, bytes, live.get(footer.objectId) ?? [])
}

/** Outputs first, the newest job before others, then segments by their ids. */
function order(a: ObjectFooter, b: ObjectFooter): number {
  if ((a.level === 0) !== (b.level === 0)) return a.level === 0 ? 1 : -1
  return (a.level === 0 ? 0 : compareTokens(b, a)) || (a.objectId < b.objectId ? -1 : 1)
}

/** As the bucket has them. One whose time is over has ended. */
function deathsOf(state: TwinState): Map<string, TenantObject> {
  const deaths = new Map<string, TenantObject>()
  for (const [tenant, life] of state.tenants) {
    const { open } = life
    const named = (below: number): string[] =>
      [...state.objects.values()].flatMap(({ objectId, datasets }) =>
        datasets.some((each) => each.descriptor.tenant === tenant && each.incarnation < below) ? [objectId] : [],
      )
    const isOpen = open !== undefined && open.removeAtMs > state.nowMs()
    if (open !== undefined && !isOpen) Object.assign(life, { isFinal: true, open: undefined })
    deaths.set(tenant, {
      tenant,
      incarnation: life.liveFrom,
      diedMs: Number.isFinite(life.diedAtMs) ? life.diedAtMs : undefined,
      alsoDead: named(life.liveFrom),
      open: isOpen ? undoable(open, named(open.previous.liveFrom)) : undefined,
    })
  }
  return deaths
}

function undoable(
  { previous, removeAtMs }: NonNullable<NonNullable<ReturnType<TwinState['tenants']['get']>>['open']>,
  lost: readonly string[],
): NonNullable<TenantObject['open']> {
  const previousDiedMs = Number.isFinite(previous.diedAtMs) ? previous.diedAtMs : undefined
  return { removeAtMs, previousLiveFrom: previous.liveFrom, previousDiedMs, previousIsFinal: previous.isFinal, lost }
}

class Adopter {
  readonly #state: TwinState
  readonly #codec: Codec
  readonly #deaths: ReadonlyMap<string, TenantObject>
  readonly #found: ReadonlyMap<string, Found>
  /** Which attempt, or segment, counts a profile. */
  readonly #countedBy = new Map<string, string>()

  constructor(
    state: TwinState,
    codec: Codec,
    { deaths, found }: { deaths: ReadonlyMap<string, TenantObject>; found: ReadonlyMap<string, Found> },
  ) {
    this.#state = state
    this.#codec = codec
    this.#deaths = deaths
    this.#found = found
  }

  adopt(footer: ObjectFooter, bytes: Uint8Array, live: readonly number[]): void {
    const { objectId, level } = footer
    const datasets = footer.datasets.map((descriptor): HeldDataset => {
      const fate = this.#fateOf(descriptor.tenant, footer)
      const life = this.#state.tenants.get(descriptor.tenant)
      const incarnation = fate === 'lives' ? (life?.incarnation ?? 1) : life!.liveFrom - 1
      const isAdopted = live.includes(descriptor.index) && fate !== 'gone' && !isExpired(this.#state, descriptor)
      const skip = isAdopted ? this.#count(footer, bytes, { descriptor, incarnation }) : []
      const isLive = isAdopted && skip.length < descriptor.profileCount
      return { descriptor: { ...descriptor }, skip, incarnation, isLive }
    })
    this.#state.addObject({ objectId, level, sizeBytes: bytes.length, datasets })
    const skips = datasets.flatMap(({ descriptor: { index }, skip }) =>
      skip.length === 0 ? [] : [{ index, positions: skip }],
    )
    this.#state.registered.set(objectId, level === 0 ? skips : undefined)
    this.#state.buryIfDead(objectId)
  }

  /** Its own, or that of what it was merged of: an output that was refused because its source had died may lie here still. */
  #fateOf(tenant: string, { objectId, sources }: ObjectFooter): Fate {
    const death = this.#deaths.get(tenant)
    if (death === undefined || !this.#state.rules.asksFate) return 'lives'
    const brought = sources.filter((source) => {
      const datasets = this.#found.get(source.objectId)?.footer.datasets
      return source.datasets.some((index) => datasets?.[index]?.tenant === tenant)
    })
    return mergedFateIn(
      death,
      objectId,
      brought.map((source) => source.objectId),
    )
  }

  /** Positions that another attempt or segment counts; label sets on the way. */
  #count(
    footer: ObjectFooter,
    bytes: Uint8Array,
    { descriptor, incarnation }: { descriptor: ObjectFooter['datasets'][number]; incarnation: number },
  ): number[] {
    const head = openDataset(
      bytes.subarray(descriptor.offset, descriptor.offset + descriptor.headBytes),
      descriptor,
      this.#codec,
    )
    for (const set of labelSetsOfHead(head)) this.#state.addLabelSet({ ...set, incarnation })
    const region = bytes.subarray(descriptor.offset, descriptor.offset + descriptor.sizeBytes)
    const ids = decodeProfileIds(head, new FetchedRanges([{ offset: descriptor.offset, bytes: region }]))
    const origin = footer.level === 0 ? `${footer.objectId}/${descriptor.index}` : attemptOf(footer)
    const skip: number[] = []
    for (let position = 0; position < descriptor.profileCount; position++) {
      const id = ids.subarray(position * 16, position * 16 + 16).join()
      const other = this.#countedBy.get(id)
      const isOther = other !== undefined && (footer.level === 0 || other !== origin)
      if (isOther && this.#state.rules.comparesContested) skip.push(position)
      else this.#countedBy.set(id, origin)
      this.#state.profileIds.set(id, this.#state.nowMs())
    }
    return skip
  }
}
