import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { encodePprof } from '#core/pprof/encode.ts'
import { withMappingVersions } from '#core/pprof/mapping-version.ts'
import { stringAt } from '#core/pprof/string-table.ts'
import { profileModel } from '../../support/profiles.ts'

function buildIds(labels: Record<string, string>): string[] | 'unchanged' {
  const model = profileModel({ samples: [{ stack: ['x'], values: [1] }] })
  const stack = ['abc', ''].map((buildId, i) => ({
    mapping: { filename: `m${i}`, buildId },
    lines: [{ name: `f${i}` }],
  }))
  const bytes = encodePprof({ ...model, samples: [{ stack, values: [1n] }] })
  const result = new ProfileDecoder().decode(bytes, DEFAULT_LIMITS)
  assert.ok(result.ok)
  const { profile } = result
  const changed = withMappingVersions(
    profile,
    Object.entries(labels).map(([name, value]) => ({ name, value })),
  )
  if (changed === profile) return 'unchanged'
  return Array.from({ length: 2 }, (_, row) => stringAt(changed, changed.mappingBuildId[row]!))
}

test('the version of the code is in the build id of every mapping, where the labels name one', () => {
  assert.deepEqual(
    buildIds({ service_repository: 'github.com/a/b', service_git_ref: 'HEAD', service_root_path: 'src', pod: 'x' }),
    [
      '{"repository":"github.com/a/b","git_ref":"HEAD","build_id":"abc","root_path":"src"}',
      '{"repository":"github.com/a/b","git_ref":"HEAD","root_path":"src"}',
    ],
  )
  assert.deepEqual(buildIds({ service_git_ref: 'v1' }), ['{"git_ref":"v1","build_id":"abc"}', '{"git_ref":"v1"}'])
  assert.equal(buildIds({ service_root_path: 'src' }), 'unchanged')
  assert.equal(buildIds({}), 'unchanged')
})
