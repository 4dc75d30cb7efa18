/**
 * Where the code of a profile lies: agents say it by labels (`service_repository`, `service_git_ref`, `service_root_path`), the
 * code view of Grafana reads it from the build id of mappings, as JSON:
 *
 *   {"repository":"…","git_ref":"…","build_id":"<as sent>","root_path":"…"}
 *
 * Without repository and reference nothing changes.
 */
import { getLabel, type LabelPair } from '../labels/labels.ts'
import { withAddedStrings } from './added-strings.ts'
import type { DecodedProfile } from './profile.ts'
import { stringAt } from './string-table.ts'

const encoder = new TextEncoder()

/** The same object if the labels name no version, or there is no mapping. */
export function withMappingVersions(profile: DecodedProfile, labels: readonly LabelPair[]): DecodedProfile {
  const repository = getLabel(labels, 'service_repository')
  const gitRef = getLabel(labels, 'service_git_ref')
  if ((repository === '' && gitRef === '') || profile.mappingCount === 0) return profile
  const rootPath = getLabel(labels, 'service_root_path')
  const added: Uint8Array[] = []
  const mappingBuildId = new Uint32Array(profile.mappingCount)
  for (let row = 0; row < profile.mappingCount; row++) {
    const buildId = stringAt(profile, profile.mappingBuildId[row]!)
    mappingBuildId[row] = profile.stringCount + added.length
    added.push(encoder.encode(versionText({ repository, git_ref: gitRef, build_id: buildId, root_path: rootPath })))
  }
  return { ...profile, ...withAddedStrings(profile, added), mappingBuildId }
}

/** What is empty is left out. */
function versionText(version: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(version).filter(([, value]) => value !== '')))
}
