import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JOB_QUEUE_POLICY, SEGMENT_COMPACTION_POLICY } from '../../../core/compaction/policy.ts'

test('a trigger never asks for more than one job holds', () => {
  const policy = SEGMENT_COMPACTION_POLICY
  assert.ok(policy.triggerCount <= policy.jobSegmentsMax)
  assert.ok(policy.triggerBytes <= policy.jobBytesMax)
})

test('the median age at first compaction stays below 5 s with a job of two seconds', () => {
  assert.ok(SEGMENT_COMPACTION_POLICY.triggerAgeMs + 2_000 < 5_000)
})

test('backoff ends before a lease term is forgotten, and the grace outlives every retry', () => {
  const { backoffBaseMs, backoffMaxMs, deletionGraceMs, leaseMs, failuresMax } = JOB_QUEUE_POLICY
  assert.ok(backoffBaseMs <= backoffMaxMs)
  assert.ok(failuresMax * (leaseMs + backoffMaxMs) < deletionGraceMs)
})
