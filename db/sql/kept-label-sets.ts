/**
 * Label sets of a tenant that this process has read before: a question then asks Postgres whether there are others, by one
 * number, and takes the answer from here. The answer is as fresh as a statement that reads sets: one that was committed a
 * moment ago, or deleted, is another number.
 *
 * 1. A question over the same hours as one before: how many rows there are, and the exclusive or of a hash of each (set, hour,
 *    incarnation), of what is not deleted. The same as then: the same rows, and the same answer.
 * 2. Else the number again with the distinct hashes of sets, in one statement, so that they belong together.
 * 3. Sets that are not known are read, once, and reduced to the labels of the question as Postgres does it.
 * Of a day of 24 hours with 48 sets each the first takes two thirds of the second, and no rows have to be made and parsed.
 *
 * A tenant with more than `SETS_MAX` sets is answered by Postgres, and is taken for such a one for its next
 * `LARGE_QUESTIONS`, so that counting costs little. Several tenants at once are answered by Postgres, too.
 *
 * A hash means its pairs for ever, in one tenant: nothing in here is ever wrong, it may only be gone. Two states of the same
 * count have the same number once in 2^64. Who asks must not change what is answered: the next one may get the same list.
 */
import type { LabelSetsRequest } from '#core/rpc/metastore.ts'
import { floorTo, MS_PER_HOUR } from '#core/units.ts'
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

/** Of a tenant: names, values of some labels, series, profile types, each over the ranges of a few dashboards. */
const ANSWERS_MAX = 32

/** What the rows that this is the digest of come to, for one question. */
interface KeptAnswer {
  readonly digest: string
  readonly sets: { pairs: string[] }[]
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
    const question = questionOf(request)
    const answer = this.#use(tenant)?.answers.get(question)
    if (answer !== undefined && answer.digest === (await selectDigest(sql, tenant, request))) {
      return bounded(answer.sets, limit + 1)
    }
    const { digest, hashes } = await selectHashes(sql, tenant, request, this.#setsMax + 1)
    if (hashes.length > this.#setsMax) {
      this.#setLarge(tenant)
      return selectLabelSets(sql, request, limit)
    }
    const known = this.#tenants.get(tenant)?.pairsOf
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
    if (sets.size === hashes.length) this.#keepAnswer(tenant, question, { digest, sets: reduced })
    return bounded(reduced, limit + 1)
  }

  /** The texts are those of the sets, the lists of them are its own. */
  #keepAnswer(tenant: string, question: string, { digest, sets }: Omit<KeptAnswer, 'chars'>): void {
    const of = this.#tenants.get(tenant)
    if (of === undefined) return
    const references = sets.reduce((sum, { pairs }) => sum + pairs.length, 0)
    const chars = (sets.length + 1) * SET_CHARS + references * REFERENCE_CHARS + question.length
    const [oldest] = of.answers.keys()
    if (of.answers.has(question)) this.#dropAnswer(of, question)
    else if (of.answers.size >= ANSWERS_MAX && oldest !== undefined) this.#dropAnswer(of, oldest)
    of.answers.set(question, { digest, sets, chars })
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

/** Rows are of hours: ranges of the same hours have the same rows. */
function questionOf({ names, namesOnly, startMs, endMs }: LabelSetsRequest): string {
  return JSON.stringify([names, namesOnly, floorTo(startMs, MS_PER_HOUR), floorTo(endMs, MS_PER_HOUR)])
}

/** That the tenant was never deleted is found out once, not row by row. An hour and its incarnation are one seed. */
async function selectDigest(sql: SqlSession, tenant: string, { startMs, endMs }: LabelSetsRequest): Promise<string> {
  const [row] = await sql<{ digest: string }[]>`
    select count(*) || ' ' || coalesce(
      bit_xor(uuid_hash_extended(l.hash, l.window_start_ms * 1000 + l.incarnation)), 0
    ) as digest
    from label_sets l
    where l.tenant = ${tenant}
      and l.window_start_ms > ${startMs}::bigint - 3600000 and l.window_start_ms <= ${endMs}
      and (
        not exists (select from tenant_incarnations i where i.tenant = ${tenant})
        or not exists (select from tenant_incarnations i where i.tenant = l.tenant and l.incarnation < i.live_from)
      )`
  return row!.digest
}

/** The digest of all rows, and of their hashes as many as are asked for. */
async function selectHashes(
  sql: SqlSession,
  tenant: string,
  { startMs, endMs }: LabelSetsRequest,
  fetched: number,
): Promise<{ readonly digest: string; readonly hashes: readonly string[] }> {
  const [row] = await sql<{ digest: string; hashes: string[] }[]>`
    with found as materialized (
      select l.hash, l.window_start_ms, l.incarnation from label_sets l
      where l.tenant = ${tenant}
        and l.window_start_ms > ${startMs}::bigint - 3600000 and l.window_start_ms <= ${endMs}
        and (
          not exists (select from tenant_incarnations i where i.tenant = ${tenant})
          or not exists (select from tenant_incarnations i where i.tenant = l.tenant and l.incarnation < i.live_from)
        )
    )
    select
      (
        select count(*) || ' ' || coalesce(
          bit_xor(uuid_hash_extended(f.hash, f.window_start_ms * 1000 + f.incarnation)), 0
        ) from found f
      ) as digest,
      array(select f.hash::text from (select distinct hash from found limit ${fetched}) as f) as hashes`
  return row!
}

function selectPairs(sql: SqlSession, tenant: string, { startMs, endMs }: LabelSetsRequest, hashes: readonly string[]) {
  return sql<{ hash: string; pairs: string[] }[]>`
    select distinct on (l.hash) l.hash, l.pairs from label_sets l
    where l.tenant = ${tenant}
      and l.window_start_ms > ${startMs}::bigint - 3600000 and l.window_start_ms <= ${endMs}
      and l.hash = any(${hashes}::text[]::uuid[])`
}

/** All of them are the same list every time. */
function bounded<Entry>(list: Entry[], max: number): Entry[] {
  return list.length <= max ? list : list.slice(0, max)
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
