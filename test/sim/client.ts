/**
 * An agent: pushes profiles, waits, and sends the same request again, to any writer, until it is told that all of it is
 * stored. Now and then it sends a request to two writers at once, or once more although it was stored.
 */
import { CinderError, isRetryable } from '#core/errors.ts'
import type { WriteRequest, WriteResponse } from '#core/rpc/segment-writer.ts'
import type { Dice } from './dice.ts'
import { type Entry, type Ledger, profileBytes } from './ledger.ts'
import type { Life } from './life.ts'
import { seriesOf } from '../support/write-path.ts'

export interface ClientDeps {
  readonly life: Life
  readonly dice: Dice
  readonly ledger: Ledger
  readonly pushes: number
  readonly tenants: readonly string[]
  readonly services: readonly string[]
  /** Times of profiles lie in these hours. */
  readonly hoursMs: readonly number[]
  /** To a writer of the world's choice. */
  readonly send: (request: WriteRequest) => Promise<WriteResponse>
  readonly onAck: (entries: readonly Entry[]) => void
  readonly onRefusal: (what: string) => void
}

/** 78 s: a thread that hangs is given up after 30, a writer that stops over it has 25 and is away for 5 more. */
const ATTEMPTS_MAX = 50
const PAUSE_MS_MAX = 2_500
const RETRY_MS_MAX = 3_000

export async function runClient(deps: ClientDeps): Promise<void> {
  const { life, dice, pushes } = deps
  for (let push = 0; push < pushes; push++) {
    await life.clock.sleep(dice.between(10, PAUSE_MS_MAX))
    const { entries, request } = makeRequest(deps)
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if (await attemptPush(deps, request)) {
        for (const entry of entries) entry.isAcked = true
        deps.onAck(entries)
        break
      }
      await life.clock.sleep(dice.between(100, RETRY_MS_MAX))
    }
    if (dice.chance(8)) await attemptPush(deps, request)
  }
}

function makeRequest({ dice, ledger, tenants, services, hoursMs }: ClientDeps): {
  entries: Entry[]
  request: WriteRequest
} {
  const tenant = dice.pick(tenants)
  const entries: Entry[] = []
  const series = Array.from({ length: dice.between(1, 2) }, () => {
    const service = dice.pick(services)
    const own = Array.from({ length: dice.between(1, 2) }, () =>
      ledger.add({ tenant, service, timeMs: dice.pick(hoursMs) + dice.below(3_600_000) }),
    )
    entries.push(...own)
    return seriesOf(own.map(profileBytes), { service })
  })
  return { entries, request: { tenant, series } }
}

/** True if all of it was stored. */
async function attemptPush(deps: ClientDeps, request: WriteRequest): Promise<boolean> {
  const sends = deps.dice.chance(10) ? [deps.send(request), deps.send(request)] : [deps.send(request)]
  const results = await Promise.all(sends.map((sent) => settle(deps, sent)))
  return results.includes(true)
}

async function settle(deps: ClientDeps, sent: Promise<WriteResponse>): Promise<boolean> {
  try {
    const { verdicts } = await sent
    for (const { status, kind, message } of verdicts)
      if (status === 'rejected' && !isRetryable(kind as CinderError['kind'])) deps.onRefusal(`${kind}: ${message}`)
    return verdicts.every(({ status }) => status === 'stored' || status === 'duplicate')
  } catch (error) {
    const isExpected = error instanceof CinderError && isRetryable(error.kind)
    if (!isExpected) deps.onRefusal(String(error))
    return false
  }
}
