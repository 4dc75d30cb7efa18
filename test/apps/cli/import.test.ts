/** What an import does with profiles that an earlier run may have stored, and how it tells of faults. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import { WriteResponseSchema } from '#platform/gen/cinder/v1/segment_writer_pb.ts'
import { SEND_AGAIN_MS } from '../../../apps/cli/import-state.ts'
import type { Shell } from '../../../apps/cli/shell.ts'
import { buildPprof } from '../../support/profiles.ts'
import { cinder, NOW_MS, startFakeServer } from './cli-support.ts'

const HOUR_MS = 3_600_000
const LOOKED = { runs: [{ kind: 'stacktraces' }] }
const NOTHING = { flamegraph: { names: ['total'], levels: [{ values: ['0', '0', '0', '0'] }] } }
const dir = await mkdtemp(join(tmpdir(), 'cinder-import-'))
after(() => rm(dir, { recursive: true, force: true }))

const answer = (body: object, explain: object, warnings: readonly string[] = []) => {
  const headers = {
    'X-Cinderblock-Explain': JSON.stringify(explain),
    ...(warnings.length === 0 ? {} : { 'X-Cinderblock-Warnings': JSON.stringify(warnings) }),
  }
  return Response.json(body, { headers })
}
const refusing = () => Response.json({ code: 'invalid_argument', message: 'not wanted' }, { status: 400 })

let made = 0

/** A file that an earlier run began to send an hour ago, which is longer than a server knows ids. */
async function begunFile(): Promise<{
  file: string
  state: string
  importing: (...more: string[]) => Promise<string>
}> {
  const name = join(dir, String(++made))
  const [file, state] = [`${name}.pprof`, `${name}.state`]
  const timeNanos = 1_000_000n * BigInt(NOW_MS - 20 * 24 * HOUR_MS)
  await writeFile(file, buildPprof({ timeNanos, samples: [{ stack: ['leaf', 'main'], values: [1] }] }))
  const importing = async (...more: string[]) => {
    const result = await cinder(['import', file, '--service', 'shop', '--state', state, ...more])
    return `${result.code} ${result.out}\n${result.err}`
  }
  // A server that refuses: the state says that it was begun.
  const { url } = startFakeServer({ Write: refusing })
  assert.match(await importing('--url', url), /1 failed/)
  const [, id] = (await readFile(state, 'utf8')).split(' ')
  await writeFile(state, `begun ${id} ${NOW_MS - HOUR_MS}\n`)
  return { file, state, importing }
}

test('what the server found is done; what it looked for and did not find is sent', async () => {
  const found = await begunFile()
  const has = startFakeServer({
    SelectMergeStacktraces: () => answer({ flamegraph: { total: '7' } }, LOOKED),
    Write: refusing,
  })
  assert.match(await found.importing('--url', has.url), /^0 1 files: 0 stored, 1 there before, 0 failed/)
  assert.match(await readFile(found.state, 'utf8'), /\ndone /)
  const lost = await begunFile()
  const hasNot = startFakeServer({ SelectMergeStacktraces: () => answer(NOTHING, LOOKED), Write: refusing })
  assert.match(await lost.importing('--url', hasNot.url), /not wanted/)
  assert.ok(hasNot.received.some(({ procedure }) => procedure === 'Write'))
})

test('a server that could not look is not believed: nothing is sent, and the next run asks again', async () => {
  const unlooked = [
    // The tenant's lookback hides it.
    () => answer(NOTHING, { runs: [] }),
    () => answer(NOTHING, LOOKED, ['1 dataset is gone']),
    // No server of ours, or one behind a proxy that drops what it says.
    () => Response.json(NOTHING),
  ]
  for (const SelectMergeStacktraces of unlooked) {
    const { state, importing } = await begunFile()
    const before = await readFile(state, 'utf8')
    const { url, received } = startFakeServer({ SelectMergeStacktraces, Write: refusing })
    assert.match(await importing('--url', url), /^1 .*1 failed[^]*cannot tell whether it is stored.*maxQueryLookback=0/)
    assert.ok(!received.some(({ procedure }) => procedure === 'Write'))
    assert.equal(await readFile(state, 'utf8'), before)
  }
})

test('a segment-writer answers no queries: they go where --query-url says', async () => {
  const writer = startFakeServer({ Write: refusing })
  const frontend = startFakeServer({ SelectMergeStacktraces: () => answer({ flamegraph: { total: '7' } }, LOOKED) })
  const { importing } = await begunFile()
  assert.match(await importing('--url', writer.url), /1 failed[^]*name a query-frontend with --query-url/)
  assert.equal(writer.received.filter(({ procedure }) => procedure === 'Write').length, 0)
  assert.match(await importing('--url', writer.url, '--query-url', frontend.url), /1 there before, 0 failed/)
})

test('one fault of many files is one line', async () => {
  const files = await Promise.all(
    [1, 2, 3, 4].map(async (i) => {
      const file = join(dir, `bad-${i}.pprof`)
      await writeFile(file, 'no profile')
      return file
    }),
  )
  const { url } = startFakeServer({ Write: refusing })
  const { err, out, code } = await cinder(['import', ...files, '--url', url, '--state', join(dir, 'bad.state')])
  assert.equal(code, 1)
  assert.match(out, /4 files: 0 stored, 0 there before, 4 failed/)
  assert.equal(err.split('\n').length, 1, err)
  assert.match(err, /bad-1\.pprof, .*bad-2\.pprof and 2 more: .*the bytes are no pprof profile/)
})

/** A new file, and a clock that goes on while an import waits. */
async function newFile() {
  const name = join(dir, String(++made))
  const timeNanos = 1_000_000n * BigInt(NOW_MS - 20 * 24 * HOUR_MS)
  await writeFile(`${name}.pprof`, buildPprof({ timeNanos, samples: [{ stack: ['leaf', 'main'], values: [1] }] }))
  let nowMs = NOW_MS
  const waits: number[] = []
  const shell: Partial<Shell> = {
    nowMs: () => nowMs,
    async sleep(durationMs) {
      waits.push(durationMs)
      nowMs += durationMs
    },
  }
  const argv = ['import', `${name}.pprof`, '--service', 'shop', '--state', `${name}.state`, '--url']
  return { waits, sinceMs: () => nowMs - NOW_MS, importing: (url: string) => cinder([...argv, url], shell) }
}

const answerOf = (statuses: readonly string[]) => {
  const verdicts = statuses.map((status) => ({ status }))
  const bytes = toBinary(WriteResponseSchema, create(WriteResponseSchema, { verdicts }))
  return new Response(bytes as Uint8Array<ArrayBuffer>, { headers: { 'Content-Type': 'application/proto' } })
}

test('an outage of ten minutes is waited for, and once the server may have forgotten the ids it is asked first', async () => {
  const { sinceMs, importing } = await newFile()
  const writesMs: number[] = []
  const { url } = startFakeServer({
    Write() {
      writesMs.push(sinceMs())
      return Response.json({ code: 'unavailable', message: 'the database is away' }, { status: 503 })
    },
    // The first try was stored, and its answer was lost.
    SelectMergeStacktraces: () => answer({ flamegraph: { total: '7' } }, LOOKED),
  })
  const { code, out } = await importing(url)
  assert.ok(writesMs.at(-1)! >= 10 * 60_000, `${writesMs.at(-1)} ms`)
  assert.ok(writesMs.at(-1)! < SEND_AGAIN_MS, `${writesMs.at(-1)} ms`)
  assert.deepEqual([code, out], [0, '1 files: 0 stored, 1 there before, 0 failed'])
})

test('an answer that was cut off is none: the profile is sent again', async () => {
  const { importing } = await newFile()
  const answers = [answerOf([]), answerOf(['duplicate'])]
  const { url } = startFakeServer({ Write: () => answers.shift()! })
  const { code, out, err } = await importing(url)
  assert.deepEqual([code, out, err], [0, '1 files: 0 stored, 1 there before, 0 failed', ''])
})
