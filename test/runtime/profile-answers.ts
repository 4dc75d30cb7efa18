/** Merged profiles, graphs, differences and render, exact, for every runtime: 12 samples of `main` in four stacks. */
import assert from 'node:assert/strict'
import { askPprof, callRpc, expectOk, recentRange, SAMPLES, type Send } from '../support/server-client.ts'
import { decodeReference } from '../support/reference-pprof.ts'

const STACKS = { 'größe work main': 5n, 'idle main': 4n, 'work main': 3n }

/** `send` names the tenant. */
export async function checkProfiles(send: Send): Promise<void> {
  const query = { profileTypeID: SAMPLES, labelSelector: '{service_name="shop"}', ...recentRange() }
  const { samples } = decodeReference(await askPprof(send, query))
  const stacks = samples.map(({ stack, values }) => [
    stack.map((frame) => (JSON.parse(frame!.lines[0]!.function) as string[])[0]).join(' '),
    values[0]!,
  ])
  assert.deepEqual(Object.fromEntries(stacks), STACKS)

  const ask = (method: string, request: object) =>
    expectOk(callRpc(send, `querier.v1.QuerierService/${method}`, request))
  const json = await ask('SelectMergeProfile', query)
  assert.equal((json['sample'] as unknown[]).length, 3)
  const { dot } = await ask('SelectMergeStacktraces', { ...query, format: 'PROFILE_FORMAT_DOT' })
  assert.match(String(dot), /label="größe\\n/)
  const { flamegraph } = await ask('Diff', { left: query, right: query })
  assert.deepEqual(
    [(flamegraph as { total: string }).total, (flamegraph as { leftTicks: string }).leftTicks],
    ['24', '12'],
  )

  const parameters = new URLSearchParams({ query: `${SAMPLES}{}`, from: query.start, until: query.end })
  const rendered = await send(`/pyroscope/render?${parameters}`)
  assert.equal(rendered.status, 200)
  const { flamebearer, metadata } = (await rendered.json()) as {
    flamebearer: { numTicks: number }
    metadata: { units: string }
  }
  assert.deepEqual([flamebearer.numTicks, metadata.units], [12, 'objects'])
  const values = await send('/pyroscope/label-values?label=pod')
  assert.deepEqual(await values.json(), ['a', 'b'])
}
