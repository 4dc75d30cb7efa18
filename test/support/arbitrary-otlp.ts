/** Any request of OTLP, as a model of few names, so that entries of its dictionary are shared. */
import * as fc from 'fast-check'
import type { OtlpModel } from './otlp.ts'

const arbitraryText = fc.constantFrom('a', 'main', 'größe', '日本', '')
const arbitraryFrame = fc.record({
  lines: fc.array(
    fc.record({ name: arbitraryText, file: arbitraryText, line: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }) }),
    { maxLength: 3 },
  ),
  mapping: fc.option(fc.record({ file: fc.constantFrom('libc', 'app'), buildId: fc.constantFrom('b1', 'b2') }), {
    nil: undefined,
  }),
  address: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
})
const arbitrarySample = fc.record({
  stack: fc.array(arbitraryFrame, { maxLength: 6 }),
  values: fc.array(fc.bigInt({ min: -(2n ** 40n), max: 2n ** 62n }), { minLength: 1, maxLength: 3 }),
  timestamps: fc.array(fc.bigInt({ min: 1n, max: 2n ** 63n }), { maxLength: 2 }),
  attributes: fc.dictionary(fc.constantFrom('thread.name', 'k', 'service.name'), fc.constantFrom('x', 'y')),
  link: fc.option(
    fc.record({
      traceId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
      spanId: fc.uint8Array({ minLength: 8, maxLength: 8 }),
    }),
    { nil: undefined },
  ),
})
export const arbitraryOtlp: fc.Arbitrary<OtlpModel> = fc.record({
  resources: fc.array(
    fc.record({
      attributes: fc.constantFrom({}, { 'service.name': 'shop' }),
      scopes: fc.array(
        fc.record({
          profiles: fc.array(
            fc.record({
              type: fc.constantFrom<readonly [string, string]>(['samples', 'count'], ['alloc_space', 'bytes']),
              periodType: fc.constantFrom<readonly [string, string]>(['cpu', 'nanoseconds'], ['', '']),
              period: fc.constantFrom(0n, 10_000_000n, 3n),
              samples: fc.array(arbitrarySample, { minLength: 1, maxLength: 5 }),
            }),
            { maxLength: 3 },
          ),
        }),
        { maxLength: 2 },
      ),
    }),
    { minLength: 1, maxLength: 3 },
  ),
})
