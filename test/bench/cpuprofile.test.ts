import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Cpuprofile, pprofOfCpuprofile } from './cpuprofile.ts'

function node(id: number, functionName: string, children: number[] = []): Cpuprofile['nodes'][number] {
  return { id, callFrame: { functionName, url: `file:///app/${functionName}.ts`, lineNumber: id }, children }
}

const PROFILE: Cpuprofile = {
  nodes: [node(1, '(root)', [2, 5]), node(2, 'hot', [3]), node(3, '', [4]), node(4, 'leaf'), node(5, 'set-up')],
  startTime: 1_000,
  endTime: 9_000,
  samples: [4, 5, 4, 2],
  timeDeltas: [1_000, 2_000, 1_500, 500],
}

test('stacks begin at the root function, leaf first; what does not pass it is dropped', () => {
  const { samples, durationNanos } = pprofOfCpuprofile(PROFILE, 'hot')
  const plain = samples.map(({ stack, values }) => [stack.map(({ lines }) => lines[0]!.name), values] as const)
  assert.deepEqual(plain, [
    [
      ['leaf', 'anonymous', 'hot'],
      [2n, 2_500_000n],
    ],
    [['hot'], [1n, 500_000n]],
  ])
  assert.deepEqual(samples[0]!.stack[0]!.lines[0], {
    name: 'leaf',
    systemName: 'leaf',
    filename: '/app/leaf.ts',
    line: 5n,
  })
  assert.equal(durationNanos, 8_000_000n)
})

test('of frames of the runtime the outermost stays', () => {
  const nodes = PROFILE.nodes.map((each) =>
    each.id < 3 ? each : { ...each, callFrame: { ...each.callFrame, url: 'node:zlib' } },
  )
  const { samples } = pprofOfCpuprofile({ ...PROFILE, nodes }, 'hot')
  assert.deepEqual(
    samples.map(({ stack }) => stack.map(({ lines }) => lines[0]!.name)),
    [['anonymous', 'hot'], ['hot']],
  )
})

test('no stack passes an unknown function', () => {
  assert.deepEqual(pprofOfCpuprofile(PROFILE, 'absent').samples, [])
})
