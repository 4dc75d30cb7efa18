import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { dropTypeParameters, withoutTypeParameters } from '#core/pprof/go-type-parameters.ts'
import { decodeProfile, stacksOf } from '../../support/decoded-profile.ts'

test('type parameters go, whatever they hold', () => {
  const cases: [string, string][] = [
    ['pkg.Map[go.shape.int,go.shape.string].Get', 'pkg.Map.Get'],
    ['pkg.Map[int].Get', 'pkg.Map.Get'],
    ['pkg.Map[...].Get', 'pkg.Map.Get'],
    ['slices.pdqsort[go.shape.string]', 'slices.pdqsort'],
    ['a.(*C[go.shape.struct { X []uint8 "json:\\"x\\"" },go.shape.int]).F', 'a.(*C).F'],
    ['a.F[go.shape.int].func1.g[go.shape.[]string]', 'a.F.func1.g'],
    ['a.F[go.shape.struct { X int "tag:\\"[\\"" }].func1', 'a.F.func1'],
    ['a.F[go.shape.struct { X int "tag:\\"]\\"" }].func1', 'a.F.func1'],
    ['plain', 'plain'],
    ['[vdso]', '[vdso]'],
    ['type:.eq.[2]string', 'type:.eq.[2]string'],
    ['type..hash.pkg.T[int]', 'type..hash.pkg.T[int]'],
    ['a.F[never closed', 'a.F[never closed'],
    ['', ''],
  ]
  for (const [name, expected] of cases) assert.equal(dropTypeParameters(name), expected, name)
})

test('a name is never longer afterwards, and a second time changes nothing but what the first one joined', () => {
  const text = fc.string({ unit: fc.constantFrom('a', '.', '[', ']', '(', 'é', ' '), maxLength: 24 })
  fc.assert(
    fc.property(text, (name) => {
      const short = dropTypeParameters(name)
      assert.ok(short.length <= name.length)
      let at = 0
      for (const letter of short) {
        at = name.indexOf(letter, at) + 1
        assert.ok(at > 0, 'what is left stood there in this order')
      }
      if (!name.includes('[')) assert.equal(short, name)
    }),
    { numRuns: 300 },
  )
})

test('instances of one function become one, and a profile without type parameters stays the same object', () => {
  const plain = decodeProfile({ samples: [{ stack: ['a.F', '[vdso]'], values: [1] }] })
  assert.equal(withoutTypeParameters(plain), plain)
  const profile = decodeProfile({
    samples: [
      { stack: [['a.F[go.shape.int]', 'a.go', 1], 'main.main'], values: [1] },
      { stack: [['a.F[go.shape.string]', 'a.go', 1], 'main.main'], values: [2] },
    ],
  })
  const fixed = withoutTypeParameters(profile)
  assert.deepEqual(stacksOf(fixed), [
    ['a.F', 'main.main'],
    ['a.F', 'main.main'],
  ])
  assert.equal(fixed.functionName[0], fixed.functionName[2])
  assert.deepEqual(stacksOf(profile)[0], ['a.F[go.shape.int]', 'main.main'])
})
