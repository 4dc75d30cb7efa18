/**
 * Label sets of a tenant that this process has read before: a question then asks Postgres which sets there are, by their
 * hashes alone, and takes their labels from here. Of a day of 24 hours that is a third of the statement which takes sets
 * apart (label-sets.ts), and the answer is as fresh: a set that was committed a moment ago is among the hashes.
 *
 * 1. Distinct hashes of the hours, of what is not deleted.
 * 2. Those that are not known are read, once.
 * 3. The sets are reduced to the labels of the question as Postgres does it; what the last few questions of a tenant came to
 *    is kept for those that find the same hashes.
 * A tenant with more than `SETS_MAX` sets is answered by Postgres, and is taken for such a one for its next
 * `LARGE_QUESTIONS`, so that counting costs little. Several tenants at once are answered by Postgres, too.
 *
 * A hash means its pairs for ever, in one tenant: nothing in here is ever wrong, it may only be gone.
 */
import type { LabelSetsRequest } from '#core/rpc/metastore.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import type { SqlSession } from '../client.ts'
import { selectLabelSets } from './label-sets.ts'

/** Above, moving hashes costs as much as it saves. */
const SETS_MAX = 2_000
const LARGE_QUESTIONS = 100
/** Of tenants that are remembered as large. */
const LARGE_TENANTS_MAX = 1_000
/** Of all sets, in characters of two bytes at most: 8 MB. */
const CHARS_MAX = 4 << 20
/** Of a set beside its labels. */
const SET_CHARS = 64
/** Of a place in a list: eight bytes. */
const REFERENCE_CHARS = 4

/** Questions of a tenant whose answers are kept: names, values of some labels, series, profile types. */
const ANSWERS_MAX = 8

/** What sets with these hashes come to, for one question. */
interface KeptAnswer {
  readonly hashes: readonly string[]
  readonly sets: readonly { pairs: string[] }[]
  readonly chars: number
}

interface TenantSets {
  readonly pairsOf: Map<string, readonly string[]>
  /** By question; the oldest first. */
  readonly answers: Map<string, KeptAnswer>
  chars: number
}

export interface KeptLabelSetsLimits {
  readonly setsMax?: number
  readonly charsMax?: number
}

export class KeptLabelSets {
  readonly #setsMax: number
  readonly #charsMax: number
  /** By last use. */
  readonly #tenants = new Map<string, TenantSets>()
  /** Questions that are left to Postgres. */
  readonly #large = new Map<string, number>()
  #chars = 0

  constructor({ setsMax = SETS_MAX, charsMax = CHARS_MAX }: KeptLabelSetsLimits = {}) {
    this.#setsMax = setsMax
    this.#charsMax = charsMax
  }

  get chars(): number {
    return this.#chars
  }

  /** As `selectLabelSets`. */
  async select(sql: SqlSession, request: LabelSetsRequest, limit: number): Promise<{ pairs: string[] }[]> {
    const [tenant, ...others] = request.tenants
    if (tenant === undefined || others.length > 0 || this.#isLarge(tenant)) return selectLabelSets(sql, request, limit)
    const hashes = (await selectHashes(sql, tenant, request, this.#setsMax + 1)).map(({ hash }) => hash)
    if (hashes.length > this.#setsMax) {
      this.#setLarge(tenant)
      return selectLabelSets(sql, request, limit)
    }
    const of = this.#use(tenant)
    const question = JSON.stringify([request.names, request.namesOnly])
    const answer = of?.answers.get(question)
    if (answer !== undefined && isSame(answer.hashes, hashes)) return answer.sets.slice(0, limit + 1)
    const known = of?.pairsOf
    const sets = new Map<string, readonly string[]>()
    const unknown = hashes.filter((hash) => {
      const pairs = known?.get(hash)
      if (pairs !== undefined) sets.set(hash, pairs)
      return pairs === undefined
    })
    if (unknown.length > 0) {
      const read = await selectPairs(sql, tenant, request, unknown)
      for (const { hash, pairs } of read) sets.set(hash, pairs)
      this.#keep(tenant, read)
    }
    const reduced = reduce(sets.values(), request)
    // A set that went between the two statements may come back under its hash.
    if (sets.size === hashes.length) this.#keepAnswer(tenant, question, { hashes, sets: reduced })
    return reduced.slice(0, limit + 1)
  }

  /** The texts are those of the sets, the lists of them are its own. */
  #keepAnswer(tenant: string, question: string, { hashes, sets }: Omit<KeptAnswer, 'chars'>): void {
    const of = this.#tenants.get(tenant)
    if (of === undefined) return
    const references = sets.reduce((sum, { pairs }) => sum + pairs.length, 0)
    const chars = (sets.length + hashes.length + 1) * SET_CHARS + references * REFERENCE_CHARS + question.length
    const [oldest] = of.answers.keys()
    if (of.answers.has(question)) this.#dropAnswer(of, question)
    else if (of.answers.size >= ANSWERS_MAX && oldest !== undefined) this.#dropAnswer(of, oldest)
    of.answers.set(question, { hashes, sets, chars })
    of.chars += chars
    this.#chars += chars
    this.#fit()
  }

  #dropAnswer(of: TenantSets, question: string): void {
    const chars = of.answers.get(question)?.chars ?? 0
    of.answers.delete(question)
    of.chars -= chars
    this.#chars -= chars
  }

  #isLarge(tenant: string): boolean {
    const left = this.#large.get(tenant) ?? 0
    if (left > 1) this.#large.set(tenant, left - 1)
    else this.#large.delete(tenant)
    return left > 0
  }

  #setLarge(tenant: string): void {
    this.#drop(tenant)
    this.#large.set(tenant, LARGE_QUESTIONS)
    for (const oldest of this.#large.keys()) {
      if (this.#large.size <= LARGE_TENANTS_MAX) return
      this.#large.delete(oldest)
    }
  }

  #keep(tenant: string, read: readonly { readonly hash: string; readonly pairs: string[] }[]): void {
    let of = this.#tenants.get(tenant)
    // Sets of hours that nobody asks about any more go with the others of their tenant.
    if (of !== undefined && of.pairsOf.size + read.length > 2 * this.#setsMax) {
      this.#drop(tenant)
      of = undefined
    }
    of ??= { pairsOf: new Map(), answers: new Map(), chars: 0 }
    for (const { hash, pairs } of read) {
      if (of.pairsOf.has(hash)) continue
      const chars = pairs.reduce((sum, text) => sum + text.length, SET_CHARS)
      of.pairsOf.set(hash, pairs)
      of.chars += chars
      this.#chars += chars
    }
    this.#tenants.delete(tenant)
    this.#tenants.set(tenant, of)
    this.#fit()
  }

  /** Answers are made again of sets, without a statement; sets are not. */
  #fit(): void {
    for (const of of this.#tenants.values()) {
      if (this.#chars <= this.#charsMax) return
      for (const question of of.answers.keys()) this.#dropAnswer(of, question)
    }
    for (const oldest of this.#tenants.keys()) {
      if (this.#chars <= this.#charsMax) return
      this.#drop(oldest)
    }
  }

  #use(tenant: string): TenantSets | undefined {
    const of = this.#tenants.get(tenant)
    if (of === undefined) return undefined
    this.#tenants.delete(tenant)
    this.#tenants.set(tenant, of)
    return of
  }

  #drop(tenant: string): void {
    this.#chars -= this.#tenants.get(tenant)?.chars ?? 0
    this.#tenants.delete(tenant)
  }
}

function hoursOf(sql: SqlSession, tenant: string, { startMs, endMs }: LabelSetsRequest) {
  return sql`l.tenant = ${tenant}
    and l.window_start_ms > ${startMs}::bigint - ${MS_PER_HOUR} and l.window_start_ms <= ${endMs}`
}

/** That the tenant was never deleted is found out once, not row by row. */
function selectHashes(sql: SqlSession, tenant: string, request: LabelSetsRequest, fetched: number) {
  return sql<{ hash: string }[]>`
    select distinct l.hash from label_sets l
    where ${hoursOf(sql, tenant, request)}
      and (
        not exists (select from tenant_incarnations i where i.tenant = ${tenant})
        or not exists (select from tenant_incarnations i where i.tenant = l.tenant and l.incarnation < i.live_from)
      )
    limit ${fetched}`
}

function selectPairs(sql: SqlSession, tenant: string, request: LabelSetsRequest, hashes: readonly string[]) {
  return sql<{ hash: string; pairs: string[] }[]>`
    select distinct on (l.hash) l.hash, l.pairs from label_sets l
    where ${hoursOf(sql, tenant, request)} and l.hash = any(${hashes}::text[]::uuid[])`
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((hash, i) => hash === b[i])
}

/** Distinct sets of the labels that are asked for. The row of a cut hour has a nameless label, and is kept as it is. */
function reduce(
  sets: Iterable<readonly string[]>,
  { names, namesOnly }: Pick<LabelSetsRequest, 'names' | 'namesOnly'>,
): { pairs: string[] }[] {
  const wanted = new Set(names)
  const byKey = new Map<string, { pairs: string[] }>()
  const add = (pairs: string[]): void => void byKey.set(pairs.join('\0'), { pairs })
  for (const pairs of sets) {
    if (namesOnly) for (let at = 0; at < pairs.length; at += 2) add([pairs[at]!, ''])
    else if (wanted.size === 0 || pairs[0] === '') add([...pairs])
    else add(pairs.filter((_, at) => wanted.has(pairs[at - (at % 2)]!)))
  }
  return [...byKey.values()]
}
