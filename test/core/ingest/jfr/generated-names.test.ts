import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { mayBeGenerated, mergeGeneratedName } from '#core/ingest/jfr/generated-names.ts'

const MERGED: readonly (readonly [string, string])[] = [
  ['org/example/Enclosing$$Lambda$4/1283928880', 'org/example/Enclosing$$Lambda_'],
  ['org/example/Enclosing$$Lambda$8/0x0000000800c01220', 'org/example/Enclosing$$Lambda_'],
  ['org/example/Enclosing$$Lambda$669.0x0000000800fd7318', 'org/example/Enclosing$$Lambda_'],
  ['Fib$$Lambda.0x00007ffa600c4da0', 'Fib$$Lambda_'],
  ['A$$Lambda$1/0x1$$Lambda$2/0x2', 'A$$Lambda$1/0x1$$Lambda_'],
  ['Fib$$Lambda12', 'Fib$$Lambda_'],
  ['Fib$$Lambda$88+0x00007f3990007a08/1790421142', 'Fib$$Lambda_'],
  ['Fib$$Lambda+0x00007f3990007a08', 'Fib$$Lambda_'],
  ['jdk/internal/reflect/GeneratedMethodAccessor31', 'jdk/internal/reflect/GeneratedMethodAccessor_'],
  ['libzstd-jni-1.5.1-16931311898282279136.so', 'libzstd-jni-_.so'],
  ['./tmp/libzstd-jni-1.5.1-16931311898282279136.so (deleted)', 'libzstd-jni-_.so'],
  ['libamazonCorrettoCryptoProvider109b39cf33c563eb.so', 'libamazonCorrettoCryptoProvider_.so'],
  [
    '/tmp/amazonCorrettoCryptoProviderNativeLibraries.7382c2f79097f415/libcrypto.so',
    'libamazonCorrettoCryptoProvider_.so',
  ],
  ['libasyncProfiler-linux-x64-17b9a1d8156277a98ccc871afa9a8f69215f92ab.so', 'libasyncProfiler-_.so'],
]

const KEPT = [
  '',
  'run',
  '$$Lambda$4/12',
  'org/example/Enclosing$$Lambda$4/1283928880.run',
  'org/example/Enclosing$$LambdaForm$4/12',
  'java/util/concurrent/Executors$RunnableAdapter',
  'jdk/internal/reflect/GeneratedMethodAccessor',
  'my/jdk/internal/reflect/GeneratedMethodAccessor31',
  './tmp/snappy-1.1.8-d1f9bd24-4cc8-4571-b71c-1698b83f1af1-libsnappyjava.so',
  'libc-2.31.so',
]

const mayBe = (name: string): boolean => {
  const bytes = new TextEncoder().encode(`x${name}`)
  return mayBeGenerated(bytes, 1, bytes.length)
}

test('names that are made up in each process become one', () => {
  for (const [name, merged] of MERGED) {
    assert.equal(mergeGeneratedName(name), merged)
    assert.ok(mayBe(name), `${name} is looked at`)
  }
})

test('other names stay as they are', () => {
  for (const name of KEPT) assert.equal(mergeGeneratedName(name), name)
})

test('property: whatever becomes another name is looked at', () => {
  const piece = fc.constantFrom(
    'a/B',
    '$$Lambda',
    '$',
    '4',
    '/',
    '.',
    '0x',
    'ff',
    '.so',
    ' (deleted)',
    'libzstd-jni-1.2.3-',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 7 }), (pieces) => {
      const name = pieces.join('')
      if (mergeGeneratedName(name) !== name) assert.ok(mayBe(name), name)
    }),
  )
})
