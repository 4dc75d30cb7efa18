/** Profiles that we answer with, read by the tool that most people open them with. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodeMergedPprof } from '#core/pprof/encode-merged.ts'
import { cutProfile, keepLeaves } from '#core/query/profile-cut.ts'
import { StackProfile, type SummedStacks } from '#core/query/stack-profile.ts'
import { allocateInt64Column } from '#core/wire/int64.ts'
import { startProgram } from '../support/process.ts'
import { type PlainStack, symbolsOf } from '../support/symbols.ts'

const go = Bun.which('go')
const absent = go === null ? 'go is not installed' : false

const STACKS: readonly (readonly [PlainStack, number])[] = [
  [['leaf', 'work', 'main'], 7_000_000],
  [[['inlined', 'caller'], 'main'], 2_000_000],
  [['idle'], 1_000_000],
]

function taken(): SummedStacks {
  const sums = allocateInt64Column(STACKS.length)
  STACKS.forEach(([, sum], i) => (sums.lo[i] = sum))
  const profile = new StackProfile()
  profile.add({ symbols: symbolsOf(STACKS.map(([stack]) => stack)), sums })
  return profile.take()!
}

async function readByGo(stacks: SummedStacks): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'cinder-pprof-'))
  try {
    const file = join(directory, 'profile.pprof')
    const type = { type: 'cpu', unit: 'nanoseconds' }
    const header = { sampleType: type, periodType: type, period: 1n, timeNanos: 1_717_236_000_000_000_000n }
    await writeFile(file, encodeMergedPprof(stacks.symbols, stacks.sums, header))
    const program = startProgram({ command: [go!, 'tool', 'pprof', '-raw', file] })
    const { code } = await program.exited
    assert.equal(code, 0, program.output())
    return program.output()
  } finally {
    await rm(directory, { recursive: true })
  }
}

test('go tool pprof reads a merged profile, a cut one and one of leaves (needs go)', { skip: absent }, async () => {
  const whole = await readByGo(taken())
  assert.match(whole, /PeriodType: cpu nanoseconds/)
  assert.match(whole, /cpu\/nanoseconds\[dflt\]/)
  for (const [, sum] of STACKS) assert.match(whole, new RegExp(`\\n\\s+${sum}: `))
  assert.match(whole, /inlined inlined\.go:1/)
  assert.match(await readByGo(cutProfile(taken(), 2)!), /other/)
  assert.doesNotMatch(await readByGo(keepLeaves(taken(), { keepLocations: 1, aggregateCallees: true })!), /main\.go/)
})
