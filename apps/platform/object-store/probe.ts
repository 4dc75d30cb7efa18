/**
 * Tries at start what the store will be used for, and says in one line what works.
 *
 * 1. put, get, a range and a list of two keys in order, under `probe/<random>/`, so that many processes may start at once.
 * 2. Four put-if-absent calls race for one key: exactly one may win, and a late fifth must not. Several servers accept
 *    the condition and ignore it.
 * 3. The keys are deleted, and must be gone.
 * Without put, get, range or list nothing can work: the start is refused. Without delete, everything works and nothing
 * is ever removed: a warning. With a put-if-absent that lets two win, whoever uses it would lose data: the calls are
 * refused (`without-put-if-absent.ts`).
 */
import { CinderError } from '#core/errors.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Random } from '#core/ports/random.ts'

/** `works`, or why not. */
export interface ProbeReport {
  readonly put: string
  readonly get: string
  readonly range: string
  readonly list: string
  readonly delete: string
  readonly putIfAbsent: string
}

const WORKS = 'works'
const RIVALS = 4
const NAMES: Readonly<Record<keyof ProbeReport, string>> = {
  put: 'put',
  get: 'get',
  range: 'range',
  list: 'list',
  delete: 'delete',
  putIfAbsent: 'put-if-absent',
}

export async function probeStore(store: ObjectStore, random: Random): Promise<ProbeReport> {
  const prefix = `probe/${Buffer.from(random.bytes(10)).toString('hex')}/`
  const [first, second, contested] = [`${prefix}a`, `${prefix}b`, `${prefix}c`] as const
  const body = random.bytes(1000)
  const put = await attempt(async () => {
    await store.put(first, body)
    await store.put(second, body.subarray(0, 10))
  })
  const get = await attempt(async () => expectEqual(await store.get(first), body))
  const range = await attempt(async () => expectEqual(await store.getRange(first, 100, 50), body.subarray(100, 150)))
  const list = await attempt(async () => {
    const keys = await store.list(prefix)
    if (keys.join() !== `${first},${second}`) throw new Error(`it gave ${JSON.stringify(keys)}`)
  })
  const putIfAbsent = await attempt(() => race(store, contested, random))
  const deleted = await attempt(async () => {
    for (const key of [first, second, contested]) await store.delete(key)
    if ((await store.head(first)) !== undefined) throw new Error('the object is still there')
  })
  return { put, get, range, list, delete: deleted, putIfAbsent }
}

/** `put, get, range, list, delete and put-if-absent work`, or what does not and what follows from it. */
export function describeProbe(report: ProbeReport): string {
  const parts = Object.keys(NAMES) as (keyof ProbeReport)[]
  const working = parts.filter((part) => report[part] === WORKS).map((part) => NAMES[part])
  const failing = parts
    .filter((part) => report[part] !== WORKS)
    .map((part) => `${NAMES[part]} does not (${report[part]})`)
  const sentences = working.length === 0 ? failing : [`${listOf(working)} work`, ...failing]
  if (report.delete !== WORKS) sentences.push('what is no longer needed stays')
  return sentences.join('; ')
}

export function worksPutIfAbsent(report: ProbeReport): boolean {
  return report.putIfAbsent === WORKS
}

export function worksDelete(report: ProbeReport): boolean {
  return report.delete === WORKS
}

/** Undefined if the product can run on such a store. */
export function refuseProbe(where: string, report: ProbeReport): CinderError | undefined {
  const { put, get, range, list } = report
  if ([put, get, range, list].every((result) => result === WORKS)) return undefined
  return new CinderError('failed_precondition', `the object store ${where} cannot be used: ${describeProbe(report)}`, {
    reason: 'store_unusable',
  })
}

async function attempt(action: () => Promise<void>): Promise<string> {
  try {
    await action()
    return WORKS
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function expectEqual(actual: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(actual, expected) !== 0) throw new Error('it gave other bytes than were put')
}

async function race(store: ObjectStore, key: string, random: Random): Promise<void> {
  const take = async (): Promise<boolean> => {
    try {
      await store.putIfAbsent(key, random.bytes(16))
      return true
    } catch (error) {
      if (error instanceof CinderError && error.kind === 'already_exists') return false
      throw error
    }
  }
  const won = await Promise.all(Array.from({ length: RIVALS }, take))
  const winners = won.filter(Boolean).length
  if (winners !== 1) throw new Error(`${winners} of ${RIVALS} rivals won`)
  if (await take()) throw new Error('a taken key was taken again')
}

function listOf(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}
