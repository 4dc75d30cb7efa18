/** The fuzzer finds what it is there for: a throw, a hang, memory, a way through several checks; and it keeps the input. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { startProgram } from '../support/process.ts'
import { countAllocations, countedBytes } from './allocations.ts'
import { readFound } from './found.ts'
import { durationMs, type FuzzTarget, runFuzzer } from './fuzz.ts'

const directory = mkdtempSync(join(tmpdir(), 'cinder-fuzz-'))
after(() => rmSync(directory, { recursive: true, force: true }))

class Refusal extends Error {}

function target(read: FuzzTarget['read'], more: Partial<FuzzTarget> = {}): FuzzTarget {
  return {
    name: 'planted',
    seeds: [new TextEncoder().encode('abcd-0000')],
    read,
    isRefusal: (error) => error instanceof Refusal,
    memory: { baseBytes: 1_000, multiple: 1 },
    ...more,
  }
}

function run(planted: FuzzTarget, folder: string) {
  return runFuzzer(planted, { durationMs: 50_000, seed: 1, directory: join(directory, folder) })
}

const text = (input: Uint8Array): string => new TextDecoder().decode(input)

test('a throw that is no refusal fails the run, and its input is kept', async () => {
  const planted = target((input) => {
    if (input[0] !== 0x61) throw new Refusal('first byte')
    if (input.length < 3) throw new TypeError('short')
  })
  await assert.rejects(run(planted, 'throw'), /planted: threw TypeError: short[^]*FUZZ_SEED=1/)
  const [found] = readFound(join(directory, 'throw'))
  assert.ok(found!.input.length < 3)
  assert.throws(() => planted.read(found!.input), TypeError)
})

test('a refusal is no fault, and every outcome is a start for the next', async () => {
  // Blind changes of the seed would need 2^32 tries to change four bytes in order.
  const planted = target((input) => {
    const seen = text(input)
    if (!seen.includes('1')) throw new Refusal('no 1')
    if (!seen.includes('12')) return 'one'
    if (!seen.includes('123')) return 'two'
    throw new Error('reached')
  })
  await assert.rejects(
    run({ ...planted, seeds: [new TextEncoder().encode('1-------')] }, 'deep'),
    /threw Error: reached/,
  )
})

test('memory beyond the bound is found, whatever it is allocated as', async () => {
  countAllocations()
  const before = countedBytes()
  assert.equal(new Uint32Array(new ArrayBuffer(40), 8, 2).length, 2)
  assert.equal(countedBytes() - before, 40)
  for (const allocate of [
    (size: number) => new Uint8Array(size),
    (size: number) => new ArrayBuffer(size),
    (size: number) => new Float64Array(size >> 3),
  ]) {
    const planted = target((input) => void allocate(input[0] === 0x61 ? 10 : 5_000))
    await assert.rejects(run(planted, 'memory'), /allocated \d+ bytes for \d+, allowed are \d+/)
  }
})

test('a seed must be read', async () => {
  const planted = target(() => {
    throw new Refusal('everything')
  })
  await assert.rejects(run(planted, 'seed'), /a seed of 9 bytes is not read/)
})

test('a decoder that never comes back ends the process, and its input is kept', async () => {
  const hang = join(directory, 'hang')
  const main = join(import.meta.dirname, 'hang-program.ts')
  const program = startProgram({ command: [process.execPath, main, hang], env: process.env })
  await program.waitFor(/an input was not read within 200 ms/)
  assert.equal((await program.exited).signal, 'SIGKILL')
  const [name] = readdirSync(hang)
  assert.equal(readFileSync(join(hang, name!), 'utf8'), 'never')
})

test('the time of a run: short in a plain test, longer in CI, any by hand', () => {
  assert.equal(durationMs({}), 250)
  assert.equal(durationMs({ CI: 'true' }), 10_000)
  assert.equal(durationMs({ CI: 'true', FUZZ_SECONDS: '600' }), 600_000)
})
