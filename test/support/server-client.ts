/**
 * What a client does, for suites over a whole server: push, ingest, ask. Speaks Connect JSON by fetch to a URL, or to a
 * Hono app in this process, so that a suite reads alike over both.
 */
import assert from 'node:assert/strict'
import { ProtobufWriter } from '#core/wire/protobuf.ts'

/** A path with its query, and what `fetch` takes. */
export type Send = (path: string, init?: RequestInit) => Promise<Response>

export function sendTo(url: string): Send {
  return (path, init) => fetch(`${url}${path}`, init)
}

export interface PushedSeries {
  readonly labels: Readonly<Record<string, string>>
  /** pprofs, plain or gzip. */
  readonly profiles: readonly Uint8Array[]
  /** One per profile, if the client names them. */
  readonly ids?: readonly string[]
}

/** A Connect unary call in JSON; the caller judges the status. */
export function callRpc(send: Send, method: string, request: unknown, tenant?: string): Promise<Response> {
  const headers: Record<string, string> = { 'Content-Type': 'application/json' }
  if (tenant !== undefined) headers['X-Scope-OrgID'] = tenant
  return send(`/${method}`, { method: 'POST', headers, body: JSON.stringify(request) })
}

export function pushBody(series: readonly PushedSeries[]): unknown {
  return {
    series: series.map(({ labels, profiles, ids }) => ({
      labels: Object.entries(labels).map(([name, value]) => ({ name, value })),
      samples: profiles.map((bytes, i) => ({
        rawProfile: Buffer.from(bytes).toString('base64'),
        ...(ids === undefined ? {} : { ID: ids[i] }),
      })),
    })),
  }
}

export function push(send: Send, series: readonly PushedSeries[], tenant?: string): Promise<Response> {
  return callRpc(send, 'push.v1.PusherService/Push', pushBody(series), tenant)
}

/** One profile of one service; fails unless it is acknowledged. */
export async function pushOne(send: Send, service: string, profile: Uint8Array): Promise<void> {
  const labels = { __name__: 'process_cpu', service_name: service }
  await expectOk(push(send, [{ labels, profiles: [profile] }]))
}

export function ingest(send: Send, query: Readonly<Record<string, string>>, profile: Uint8Array): Promise<Response> {
  const form = new FormData()
  form.append('profile', new Blob([Uint8Array.from(profile)]), 'profile.pprof')
  return send(`/ingest?${new URLSearchParams(query)}`, { method: 'POST', body: form })
}

/** The answer as JSON; a refusal fails with its text, and so does an answer that says what it lacks. */
export async function expectOk(answer: Promise<Response>): Promise<Record<string, unknown>> {
  const response = await answer
  const text = await response.text()
  assert.equal(response.status, 200, text)
  expectWhole(response)
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
}

function expectWhole({ headers }: Response): void {
  const warnings = headers.get('X-Cinderblock-Warnings')
  assert.ok(warnings === null, warnings ?? '')
}

/** An hour back and half an hour ahead of now: all that default limits let in. */
export function recentRange(): { start: string; end: string } {
  const nowMs = Date.now()
  return { start: String(nowMs - 3_900_000), end: String(nowMs + 1_800_000) }
}

export interface ProfileQuestion {
  readonly profileTypeID: string
  readonly labelSelector: string
  readonly maxNodes?: number
}

export interface FlameNode {
  /** From the root, which is named `total`, to the node itself. */
  readonly path: readonly string[]
  readonly total: bigint
  readonly self: bigint
}

export interface FlameGraph {
  readonly total: bigint
  readonly names: readonly string[]
  /** Sorted by path: equal for equal graphs, whatever the order of names and siblings. */
  readonly nodes: readonly FlameNode[]
}

export async function askFlameGraph(send: Send, question: ProfileQuestion, tenant?: string): Promise<FlameGraph> {
  const request = { maxNodes: 0, ...recentRange(), ...question }
  const answer = await expectOk(callRpc(send, 'querier.v1.QuerierService/SelectMergeStacktraces', request, tenant))
  return readFlameGraph((answer.flamegraph ?? {}) as FlameGraphMessage)
}

/** The body of SelectMergeProfile: a pprof file, or no bytes. The request has no other fields. */
export async function askPprof(
  send: Send,
  query: {
    readonly profileTypeID: string
    readonly labelSelector: string
    readonly start: string
    readonly end: string
  },
): Promise<Uint8Array> {
  const request = new ProtobufWriter()
  request.stringField(1, query.profileTypeID)
  request.stringField(2, query.labelSelector)
  request.varintField(3, BigInt(query.start))
  request.varintField(4, BigInt(query.end))
  const response = await send('/querier.v1.QuerierService/SelectMergeProfile', {
    method: 'POST',
    headers: { 'Content-Type': 'application/proto' },
    body: request.copyBytes() as Uint8Array<ArrayBuffer>,
  })
  assert.equal(response.status, 200, await response.clone().text())
  expectWhole(response)
  return new Uint8Array(await response.arrayBuffer())
}

/** Of one service: `process_cpu:samples:count:cpu:nanoseconds` is what `buildPprof` makes by default. */
export async function askTotal(send: Send, service: string, profileTypeID = SAMPLES): Promise<bigint> {
  const labelSelector = `{service_name="${service}"}`
  return (await askFlameGraph(send, { profileTypeID, labelSelector })).total
}

export const SAMPLES = 'process_cpu:samples:count:cpu:nanoseconds'

export function askMetadata(
  send: Send,
  method: 'ProfileTypes' | 'LabelNames' | 'LabelValues' | 'Series',
  request: object = {},
): Promise<Record<string, unknown>> {
  return expectOk(callRpc(send, `querier.v1.QuerierService/${method}`, { ...recentRange(), ...request }))
}

export interface SeriesAnswer {
  readonly labels: readonly { readonly name: string; readonly value: string }[]
  readonly points: readonly { readonly timestamp: string; readonly value: number }[]
}

export async function askSeries(
  send: Send,
  question: ProfileQuestion & { step: number; groupBy?: string[]; start?: string; end?: string },
): Promise<SeriesAnswer[]> {
  const request = { ...recentRange(), ...question }
  const answer = await expectOk(callRpc(send, 'querier.v1.QuerierService/SelectSeries', request))
  return (answer.series ?? []) as SeriesAnswer[]
}

export interface FlameGraphMessage {
  readonly names?: readonly string[]
  readonly levels?: readonly { readonly values?: readonly (string | number | bigint)[] }[]
  readonly total?: string | number | bigint
}

/** A level is quadruples: distance to the end of the one before, total, self, name. A child lies within its parent. */
export function readFlameGraph(message: FlameGraphMessage): FlameGraph {
  const { names = [], levels = [] } = message
  const nodes: FlameNode[] = []
  let above: { start: bigint; end: bigint; path: readonly string[] }[] = []
  for (const { values = [] } of levels) {
    const level: typeof above = []
    let at = 0n
    let parent = 0
    for (let i = 0; i < values.length; i += 4) {
      const [offset, total, self, name] = values.slice(i, i + 4).map(BigInt) as [bigint, bigint, bigint, bigint]
      const start = at + offset
      const end = start + total
      while (above.length > parent && above[parent]!.end < end) parent++
      const inside = above.length === 0 ? undefined : above[parent]
      const isRoot = level.length === 0 && above.length === 0
      assert.ok(isRoot || (inside !== undefined && inside.start <= start), `${names[Number(name)]} lies in no parent`)
      const path = [...(inside?.path ?? []), names[Number(name)]!]
      level.push({ start, end, path })
      nodes.push({ path, total, self })
      at = end
    }
    above = level
  }
  const keyed = nodes.map((node) => ({ key: node.path.join('\n'), node }))
  keyed.sort((a, b) => (a.key < b.key ? -1 : 1))
  return { total: BigInt(message.total ?? 0), names, nodes: keyed.map(({ node }) => node) }
}
