import assert from 'node:assert/strict'
import { test } from 'node:test'
import { positionalProfileId, type ProfileIdentity, profileIdOf } from '#core/segment/profile-id.ts'
import { createDigest } from '#platform/digest.ts'

const digest = createDigest()
const hex = (id: Uint8Array): string => id.reduce((text, byte) => text + byte.toString(16).padStart(2, '0'), '')

const PROFILE: ProfileIdentity = {
  tenant: 'acme',
  labels: [
    { name: '__name__', value: 'process_cpu' },
    { name: 'service_name', value: 'shop' },
  ],
  contentDigest: digest.digest128(new TextEncoder().encode('profile')),
  clientId: '',
  timeNanos: 1_760_000_000_000_000_000n,
  ordinal: 0,
}

test('a retry has the id of its first attempt (H15)', () => {
  const id = profileIdOf(digest, PROFILE)
  assert.equal(id.length, 16)
  const retry = {
    ...PROFILE,
    labels: PROFILE.labels.map((label) => ({ ...label })),
    contentDigest: PROFILE.contentDigest.slice(),
  }
  assert.deepEqual(profileIdOf(digest, retry), id)
})

test('whatever tells two profiles apart makes another id', () => {
  const others: ProfileIdentity[] = [
    { ...PROFILE, tenant: 'acme2' },
    { ...PROFILE, ordinal: 1 },
    { ...PROFILE, ordinal: 2 },
    { ...PROFILE, timeNanos: PROFILE.timeNanos + 1n },
    { ...PROFILE, timeNanos: 0n },
    { ...PROFILE, clientId: 'a' },
    { ...PROFILE, clientId: 'A' },
    { ...PROFILE, contentDigest: PROFILE.contentDigest.map((byte, i) => (i === 15 ? byte ^ 1 : byte)) },
    { ...PROFILE, labels: [...PROFILE.labels, { name: 'pod', value: 'a' }] },
    { ...PROFILE, labels: PROFILE.labels.slice(1) },
    { ...PROFILE, labels: [PROFILE.labels[0]!, { name: 'service_name', value: 'shop2' }] },
  ]
  const ids = [PROFILE, ...others].map((identity) => hex(profileIdOf(digest, identity)))
  assert.equal(new Set(ids).size, ids.length)
  // The head counts series in the last two bytes, so the first fourteen must differ by themselves.
  assert.equal(new Set(ids.map((id) => id.slice(0, 28))).size, ids.length)
})

test('no text in one field reads as another field', () => {
  const ids = [
    { ...PROFILE, tenant: 'a', clientId: 'b' },
    { ...PROFILE, tenant: 'ab', clientId: '' },
    { ...PROFILE, tenant: '', clientId: 'ab' },
    { ...PROFILE, tenant: 'a"', clientId: ',"b' },
    { ...PROFILE, tenant: 'a', clientId: '","b' },
    { ...PROFILE, labels: [{ name: 'a', value: 'bc' }] },
    { ...PROFILE, labels: [{ name: 'ab', value: 'c' }] },
    { ...PROFILE, labels: [{ name: 'a', value: 'b1:c1:d' }] },
    {
      ...PROFILE,
      labels: [
        { name: 'a', value: 'b' },
        { name: 'c', value: 'd' },
      ],
    },
    { ...PROFILE, clientId: '1', ordinal: 0 },
    { ...PROFILE, clientId: '', ordinal: 10 },
  ].map((identity) => hex(profileIdOf(digest, identity)))
  assert.equal(new Set(ids).size, ids.length)
})

test('a positional id follows from segment and position alone', () => {
  const ids = [
    positionalProfileId(digest, '01JAB3VW7Z0000000000000000', 0),
    positionalProfileId(digest, '01JAB3VW7Z0000000000000000', 1),
    positionalProfileId(digest, '01JAB3VW7Z0000000000000000', 10),
    positionalProfileId(digest, '01JAB3VW7Z0000000000000001', 0),
  ].map(hex)
  assert.equal(new Set(ids.map((id) => id.slice(0, 28))).size, 4)
  assert.equal(hex(positionalProfileId(digest, '01JAB3VW7Z0000000000000000', 0)), ids[0])
})
