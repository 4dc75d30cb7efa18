/**
 * Agents that never give up: every profile has a leaf function of its own and is sent, byte for byte the same, until it is
 * acknowledged. The ledger knows of each whether it was sent and whether it was acknowledged, so that an answer can be
 * judged at any moment: no less than was acknowledged before the question, no more than was sent before the answer.
 */
import { buildPprof } from '../support/profiles.ts'
import { push, type Send } from '../support/server-client.ts'

export interface SentProfile {
  readonly leaf: string
  readonly tenant: string
  readonly service: string
  readonly value: number
  isAcknowledged: boolean
}

export const TENANTS = ['red', 'green', 'blue']
/** Per tenant: enough for datasets side by side in every segment. */
const SERVICES = 4
/** What a client waits for an answer: longer than the 8 s that a writer takes at most. */
const ANSWER_MAX_MS = 12_000
const RETRY_MS = 200
/** Profiles under way at once. Past it the next waits: as a fleet of agents does that has one upload each. */
const IN_FLIGHT_MAX = 64

export class Load {
  readonly ledger: SentProfile[] = []
  retries = 0
  /** Answers by status, transport failures as 0. */
  readonly answers = new Map<number, number>()
  readonly #send: Send
  readonly #inFlight = new Set<Promise<void>>()
  #isStopping = false

  constructor(send: Send) {
    this.#send = send
  }

  /** Pushes at a rate until `stop`. */
  async run(profilesPerSecond: number): Promise<void> {
    const startedMs = performance.now()
    while (!this.#isStopping) {
      const dueMs = startedMs + (this.ledger.length / profilesPerSecond) * 1_000
      await pause(Math.max(0, dueMs - performance.now()))
      if (this.#inFlight.size >= IN_FLIGHT_MAX) await Promise.race(this.#inFlight)
      const sent = this.#next()
      const task = this.#pushUntilAcknowledged(sent).finally(() => this.#inFlight.delete(task))
      this.#inFlight.add(task)
    }
  }

  /** No new profiles. */
  stop(): void {
    this.#isStopping = true
  }

  get waiting(): number {
    return this.#inFlight.size
  }

  #next(): SentProfile {
    const n = this.ledger.length
    const sent = {
      leaf: `leaf${n}`,
      tenant: TENANTS[n % TENANTS.length]!,
      service: `service${Math.floor(n / TENANTS.length) % SERVICES}`,
      value: 1 + (n % 7),
      isAcknowledged: false,
    }
    this.ledger.push(sent)
    return sent
  }

  async #pushUntilAcknowledged(sent: SentProfile): Promise<void> {
    const n = this.ledger.indexOf(sent)
    // Up to 40 minutes back: hours that are closed, and late data for them.
    const timeNanos = BigInt(Date.now() - (n % 40) * 60_000) * 1_000_000n + BigInt(n % 1_000_000)
    const stack = [sent.leaf, `shared${n % 50}`, 'work', 'main']
    const profile = buildPprof({ timeNanos, samples: [{ stack, values: [sent.value] }] })
    const labels = { __name__: 'process_cpu', service_name: sent.service, pod: `pod${n % 3}` }
    for (;;) {
      const status = await this.#pushOnce([{ labels, profiles: [profile] }], sent.tenant)
      this.answers.set(status, (this.answers.get(status) ?? 0) + 1)
      if (status === 200) break
      // Anything an agent would not send again is a failure of the run: it would be data lost.
      if (status >= 400 && status < 500 && status !== 408 && status !== 429)
        throw new Error(`a good profile was refused with ${status}`)
      this.retries++
      await pause(RETRY_MS)
    }
    sent.isAcknowledged = true
  }

  async #pushOnce(series: Parameters<typeof push>[1], tenant: string): Promise<number> {
    const signal = AbortSignal.timeout(ANSWER_MAX_MS)
    const send: Send = (path, init) => this.#send(path, { ...init, signal })
    try {
      const response = await push(send, series, tenant)
      await response.arrayBuffer()
      return response.status
    } catch {
      return 0
    }
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
