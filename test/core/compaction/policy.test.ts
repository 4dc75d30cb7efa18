import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CLOSED_LEVEL,
  JOB_QUEUE_POLICY,
  LAST_LEVEL,
  SEGMENT_COMPACTION_POLICY,
  TIER_LEVEL_MAX,
  WINDOW_COMPACTION_POLICY,
  WINDOW_STAGES,
  windowMsOfLevel,
} from '../../../core/compaction/policy.ts'

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

test('stages follow the tiers, and each window holds whole windows of the stage before', () => {
  assert.ok(CLOSED_LEVEL > TIER_LEVEL_MAX)
  WINDOW_STAGES.slice(1).forEach((stage, i) => {
    assert.equal(stage.level, WINDOW_STAGES[i]!.level + 1)
    assert.equal(stage.windowMs % WINDOW_STAGES[i]!.windowMs, 0)
  })
  assert.deepEqual(
    [1, TIER_LEVEL_MAX, CLOSED_LEVEL, 6, LAST_LEVEL].map((level) => windowMsOfLevel(level) / 3_600_000),
    [1, 1, 1, 6, 24],
  )
})

test('tiers keep an hour of a tenant under 30 objects at a job every two seconds', () => {
  const { tierFanIn } = WINDOW_COMPACTION_POLICY
  const lower = (tierFanIn - 1) * (TIER_LEVEL_MAX - 1)
  const upper = Math.ceil(1_800 / tierFanIn ** (TIER_LEVEL_MAX - 1))
  assert.ok(lower + upper < 30, `${lower + upper}`)
})
