/** Decoders of stacks in other forms than pprof: collapsed text, trees and tries, speedscope files. */
import { readTree, readTrie } from '#core/ingest/binary-stacks.ts'
import { readGroups, readLines } from '#core/ingest/collapsed.ts'
import { readSpeedscope } from '#core/ingest/speedscope.ts'
import { type StackCounts, StackFault } from '#core/ingest/stack-counts.ts'
import { type FuzzTarget, fuzz } from './fuzz.ts'

const encoder = new TextEncoder()
const COUNT = { name: 'n', type: 'samples', unit: 'count', periodNanos: undefined }

/** What is read can be stored. */
function store(counts: StackCounts): string {
  const profile = { type: COUNT, countsSamples: false, timeNanos: 1n, durationNanos: 0n }
  const bytes = counts.encode(profile, { maxSamples: 16_000, maxStackDepth: 1_000 })
  if (bytes.length === 0) throw new Error('a profile without bytes')
  return `${Math.min(counts.stackCount, 4)} stacks`
}

function isFault(error: unknown): boolean {
  return error instanceof StackFault
}

/** Refusals without what they repeat of the input. */
function outcome(read: () => StackCounts): string {
  try {
    return store(read())
  } catch (error) {
    if (error instanceof StackFault) return error.message.replaceAll(/\d+|".*/gs, '').slice(0, 40)
    throw error
  }
}

/** The encoder begins with 4 KiB buffers; a tree of n bytes makes a pprof of some ten times as many. */
const MEMORY = { baseBytes: 256 * 1024, multiple: 256 }

const collapsed: FuzzTarget = {
  name: 'collapsed',
  seeds: ['main;work 3\nmain;work;leaf 2\n', 'größe;仕事 3\r\na -1\r\n', 'a 9223372036854775807\n;; 1'].map((text) =>
    encoder.encode(text),
  ),
  words: ['\n', '\r\n', ';', ' ', '-', '+', '9223372036854775808', '\u0000'],
  read: (input) => `${outcome(() => readGroups(input))} ${outcome(() => readLines(input))}`,
  isRefusal: isFault,
  memory: MEMORY,
}

const binaryStacks: FuzzTarget = {
  name: 'binary-stacks',
  seeds: ['AAABBG1haW4BAgR3b3JrAwEEbGVhZgIABGlkbGUFAA==', 'AAABBW1haW47AAICd28AAgJyawMACHJsZDtsZWFmAgAEaWRsZQUA'].map(
    (text) => new Uint8Array(Buffer.from(text, 'base64')),
  ),
  read: (input) => `${outcome(() => readTree(input))} ${outcome(() => readTrie(input))}`,
  isRefusal: isFault,
  memory: MEMORY,
}

const SCHEMA = 'https://www.speedscope.app/file-format-schema.json'
const shared = { frames: [{ name: 'a', file: 'a.js', line: 3 }, { name: 'b' }] }

const speedscope: FuzzTarget = {
  name: 'speedscope',
  seeds: [
    {
      type: 'sampled',
      name: 'p',
      unit: 'seconds',
      startValue: 0,
      endValue: 3,
      samples: [[0, 1], [0]],
      weights: [1, 2],
    },
    {
      type: 'evented',
      name: 'e',
      unit: 'none',
      startValue: 0,
      endValue: 9,
      events: [
        { type: 'O', frame: 0, at: 1 },
        { type: 'C', frame: 0, at: 4.5 },
      ],
    },
  ].map((profile) => encoder.encode(JSON.stringify({ $schema: SCHEMA, shared, profiles: [profile, profile] }))),
  words: ['"unit":', '"bytes"', '"weights":', '[', ']', '{', '}', 'null', '1e308', '-1', '"O"', '__proto__', ','],
  read: (input) =>
    readSpeedscope(input, 'app', 100)
      .map(({ counts, type }) => `${type.name} ${store(counts)}`)
      .join(' '),
  isRefusal: isFault,
  memory: MEMORY,
}

fuzz([collapsed, binaryStacks, speedscope])
