/**
 * Which writer owns which slot, from who owned it before: what need not move does not.
 *
 * 1. Slots of writers that are gone go to those with room, by rendezvous hashing: the highest hash of slot and writer.
 * 2. Counts: while a writer has more than the mean rounded up and one, or fewer than the mean rounded down, the fullest
 *    gives a slot to the emptiest, the one that it likes least by the same hash. A writer that joins n gets a slot in n + 1.
 * 3. Loads, when asked: while a writer has more than one and a half times the mean, it gives slots to the least loaded, or
 *    swaps one for a lighter one where counts allow no move; at most `BALANCE_MOVES_MAX` a pass.
 * Writers that are away keep theirs: they neither give nor get. Ids are in order, so that equal input gives equal output.
 */
import { mix32 } from '../wire/hash.ts'
import { hashNames } from './hash.ts'

export interface OwnersInput {
  /** By slot: a writer's id; empty = none. */
  readonly owners: readonly string[]
  /** In order of ids. */
  readonly members: readonly string[]
  /** Their slots stay as they are. */
  readonly away: ReadonlySet<string>
  /** By slot, in any unit; undefined: loads are not looked at in this pass. */
  readonly loads?: readonly number[] | undefined
}

/** A thirty-second of all slots: a fleet that is out of balance needs several passes, and edges see it gradually. */
export const BALANCE_MOVES_MAX = 32
/** Of the mean load. Twice is what is promised; half of the way is left for what changes meanwhile. */
const LOAD_SHARE_MAX = 1.5

interface Member {
  readonly writerId: string
  readonly hash: number
  readonly slots: Set<number>
  load: number
}

interface Fleet {
  readonly members: Member[]
  readonly owners: string[]
  readonly countMin: number
  readonly countMax: number
  readonly loads: readonly number[] | undefined
}

export function assignSlots({ owners, members, away, loads }: OwnersInput): string[] {
  const next = [...owners]
  if (members.length === 0) return next
  const byId = new Map<string, Member>(
    members.map((writerId) => [writerId, { writerId, hash: hashNames(writerId, ''), slots: new Set(), load: 0 }]),
  )
  const orphans: number[] = []
  let kept = 0
  owners.forEach((owner, slot) => {
    const member = byId.get(owner)
    if (member !== undefined) give(member, slot, loads)
    else if (away.has(owner)) kept++
    else orphans.push(slot)
  })
  const mean = (owners.length - kept) / members.length
  const fleet: Fleet = {
    members: [...byId.values()],
    owners: next,
    countMin: Math.floor(mean),
    countMax: Math.ceil(mean) + 1,
    loads,
  }
  adopt(fleet, orphans)
  evenCounts(fleet)
  if (loads !== undefined) evenLoads(fleet, loads)
  return next
}

function give(member: Member, slot: number, loads: readonly number[] | undefined): void {
  member.slots.add(slot)
  member.load += loads?.[slot] ?? 0
}

function move(fleet: Fleet, slot: number, { from, to }: { readonly from: Member; readonly to: Member }): void {
  from.slots.delete(slot)
  from.load -= fleet.loads?.[slot] ?? 0
  give(to, slot, fleet.loads)
  fleet.owners[slot] = to.writerId
}

function affinity(slot: number, { hash }: Member): number {
  return mix32(Math.imul(slot + 1, 0x9e3779b1) ^ hash)
}

/** There is always room: counts below the mean rounded up and one sum up to more than all slots. */
function adopt(fleet: Fleet, orphans: readonly number[]): void {
  let missing = fleet.members.reduce((sum, { slots }) => sum + Math.max(0, fleet.countMin - slots.size), 0)
  orphans.forEach((slot, index) => {
    // Once the rest is what others lack, it is theirs: else they would get it from somebody, as a move.
    const room = orphans.length - index <= missing ? fleet.countMin : fleet.countMax
    const member = mostFond(fleet, slot, room)
    if (member === undefined) return
    if (member.slots.size < fleet.countMin) missing--
    give(member, slot, fleet.loads)
    fleet.owners[slot] = member.writerId
  })
}

function mostFond(fleet: Fleet, slot: number, room: number): Member | undefined {
  let best: Member | undefined
  let bestAffinity = -1
  for (const member of fleet.members) {
    if (member.slots.size >= room) continue
    const liked = affinity(slot, member)
    if (liked > bestAffinity) {
      best = member
      bestAffinity = liked
    }
  }
  return best
}

function evenCounts(fleet: Fleet): void {
  for (let moves = 0; moves < fleet.owners.length; moves++) {
    const [from, to] = extremes(fleet.members, ({ slots }) => slots.size)
    if (from.slots.size <= fleet.countMax && to.slots.size >= fleet.countMin) return
    move(fleet, leastLiked(from), { from, to })
  }
}

/** The most and the least; of equals the first. */
function extremes(members: readonly Member[], valueOf: (member: Member) => number): [Member, Member] {
  let most = members[0]!
  let least = members[0]!
  for (const member of members) {
    if (valueOf(member) > valueOf(most)) most = member
    if (valueOf(member) < valueOf(least)) least = member
  }
  return [most, least]
}

function leastLiked(member: Member): number {
  let worst = -1
  let worstAffinity = Number.POSITIVE_INFINITY
  for (const slot of member.slots) {
    const liked = affinity(slot, member)
    if (liked < worstAffinity || (liked === worstAffinity && slot < worst)) {
      worst = slot
      worstAffinity = liked
    }
  }
  return worst
}

function evenLoads(fleet: Fleet, loads: readonly number[]): void {
  const total = fleet.members.reduce((sum, { load }) => sum + load, 0)
  const allowed = (LOAD_SHARE_MAX * total) / fleet.members.length
  // One whose load is in one slot cannot give it away: it must not hide the others.
  let open = [...fleet.members]
  // The last exchange may move two.
  for (let moves = 0; moves < BALANCE_MOVES_MAX - 1; ) {
    const [from] = extremes(open, ({ load }) => load)
    const [, to] = extremes(fleet.members, ({ load }) => load)
    if (from.load <= allowed) return
    const exchange = chooseExchange(fleet, loads, { from, to })
    if (exchange === undefined) {
      open = open.filter((member) => member !== from)
      if (open.length === 0) return
      continue
    }
    move(fleet, exchange.slot, { from, to })
    if (exchange.back !== undefined) move(fleet, exchange.back, { from: to, to: from })
    moves += exchange.back === undefined ? 1 : 2
  }
}

interface Exchange {
  readonly slot: number
  /** In return, where counts allow no move. */
  readonly back: number | undefined
}

/** What brings the two closest together; undefined: nothing does. */
function chooseExchange(
  { countMin, countMax }: Fleet,
  loads: readonly number[],
  { from, to }: { readonly from: Member; readonly to: Member },
): Exchange | undefined {
  const isSwap = to.slots.size >= countMax || from.slots.size <= countMin
  const back = isSwap ? lightest(to, loads) : undefined
  const half = (from.load - to.load) / 2
  let best: number | undefined
  // Moving nothing leaves half of the difference: only what leaves less is worth a move.
  let bestDistance = half * 0.95
  for (const slot of from.slots) {
    const distance = Math.abs(loads[slot]! - (back === undefined ? 0 : loads[back]!) - half)
    if (distance < bestDistance || (distance === bestDistance && best !== undefined && slot < best)) {
      best = slot
      bestDistance = distance
    }
  }
  return best === undefined ? undefined : { slot: best, back }
}

function lightest({ slots }: Member, loads: readonly number[]): number | undefined {
  let best: number | undefined
  for (const slot of slots) {
    if (best === undefined || loads[slot]! < loads[best]! || (loads[slot] === loads[best] && slot < best)) best = slot
  }
  return best
}
