/**
 * What an edge knows, on every runtime: `GET /status` as JSON for people and checks (its writers, and what it answered), and
 * metrics read at a scrape. Whom strangers reach and no token guards, as every worker without one, tells neither addresses
 * nor names of writers.
 */
import type { Hono } from 'hono'
import { TABLE_MAX_WRITERS } from '#core/placement/table.ts'
import { type BreakerState, type CallOutcome, passageOf } from '#core/placement/breaker.ts'
import type { Clock } from '#core/ports/clock.ts'
import { MS_PER_SECOND } from '#core/units.ts'
import { isLoopback } from '#platform/connect/internal-settings.ts'
import { requireToken } from '#platform/connect/internal-token.ts'
import type { Registry } from '#platform/metrics/registry.ts'
import type { AnswerCounts } from './answer-counts.ts'
import type { Writers, WritersDeps } from './placement-writers.ts'

/** What a call came to, as a label. */
const OUTCOMES: Readonly<Record<CallOutcome, string>> = {
  answered: 'answered',
  overloaded: 'overloaded',
  'no-answer': 'no_answer',
  'given-up': 'given_up',
}
/** In order of severity, for graphs. */
const STATES: Readonly<Record<BreakerState, number>> = { closed: 0, 'half-open': 1, open: 2 }

export interface EdgeStatus {
  readonly writers: Writers
  readonly answers: Pick<AnswerCounts, 'report'>
  readonly clock: Pick<Clock, 'nowMs'>
  /** Where the listener is; undefined = anybody may reach it, as a worker. */
  readonly host: string | undefined
}

/** `tokens` guard it, and let it name our own addresses. */
export function mountEdgeStatus(app: Hono, edge: EdgeStatus, tokens: readonly string[]): void {
  if (tokens.length > 0) app.use('/status', requireToken(tokens))
  const { writers, answers, clock, host } = edge
  const report = tokens.length > 0 || (host !== undefined && isLoopback(host)) ? reportWriters : reportToStrangers
  app.get('/status', () => Response.json({ ...answers.report(), ...report(writers, clock.nowMs()) }))
}

function reportWriters({ where, placed }: Writers, nowMs: number) {
  if (placed === undefined) return { writers: [{ address: where }] }
  return {
    placement: { url: placed.tableUrl, ...placed.source.status() },
    writers: placed.routed.states().map(({ breaker, ...writer }) => ({
      ...writer,
      breaker: breaker.state,
      calls: passageOf(breaker, nowMs),
      failuresInARow: breaker.failures,
    })),
  }
}

/** In the order of their ids, so that one that fails is found by those who know the ids. */
function reportToStrangers({ placed }: Writers, nowMs: number): object {
  const hidden = 'addresses are told where CINDER_INTERNAL_TOKEN is set'
  if (placed === undefined) return { hidden, writers: [{}] }
  const { generation, writers, ageMs, refreshes, failures } = placed.source.status()
  return {
    hidden,
    placement: { generation, writers, ageMs, refreshes, failures },
    writers: placed.routed.states().map(({ breaker, state }) => ({
      state,
      breaker: breaker.state,
      calls: passageOf(breaker, nowMs),
      failuresInARow: breaker.failures,
    })),
  }
}

/** The hooks that count, and the gauges of what they belong to, once it is open. */
export function meterWriters(registry: Registry): {
  readonly on: NonNullable<WritersDeps['on']>
  readonly watch: (writers: Writers) => void
} {
  const writer = { writer: TABLE_MAX_WRITERS }
  const calls = registry.counter('cinder_edge_writer_calls_total', 'Calls of segment-writers, by what they came to.', {
    ...writer,
    outcome: Object.keys(OUTCOMES).length,
  })
  const elsewhere = registry.counter(
    'cinder_edge_writer_elsewhere_total',
    'Calls of a segment-writer that went on to another one.',
    writer,
  )
  return {
    on: {
      call: (writerId, outcome) => calls.add(1, writerId, OUTCOMES[outcome]),
      elsewhere: (writerId) => elsewhere.add(1, writerId),
    },
    watch({ placed }) {
      if (placed === undefined) return
      const breakers = registry.gauge(
        'cinder_edge_writer_breaker',
        'Circuit breaker of a segment-writer: 0 closed, 1 half-open, 2 open.',
        writer,
      )
      const age = registry.gauge('cinder_edge_placement_age_seconds', 'Since the placement table was known to be new.')
      const generation = registry.gauge('cinder_edge_placement_generation', 'Of the placement table in use; 0 = none.')
      const refreshes = registry.reading('cinder_edge_placement_refreshes_total', 'Times the table was asked for.')
      const failures = registry.reading('cinder_edge_placement_failures_total', 'Times it could not be read.')
      registry.collect(() => {
        const status = placed.source.status()
        age.set((status.ageMs ?? 0) / MS_PER_SECOND)
        generation.set(status.generation ?? 0)
        refreshes.set(status.refreshes)
        failures.set(status.failures)
        breakers.clear()
        for (const { writerId, breaker } of placed.routed.states()) breakers.set(STATES[breaker.state], writerId)
      })
    },
  }
}
