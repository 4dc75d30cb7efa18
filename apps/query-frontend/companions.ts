/**
 * The small services that stand beside the query API: which features there are, the version of the query API, code hosts
 * (there are none, and clients hide their view of sources when they are told so by `unimplemented`).
 */
import type { Hono } from 'hono'
import { type ConnectServerOptions, mountService } from '#platform/connect/server.ts'
import { FeatureFlagsService } from '#platform/gen/capabilities/v1/feature_flags_pb.ts'
import { VCSService } from '#platform/gen/vcs/v1/vcs_pb.ts'
import { Version } from '#platform/gen/version/v1/version_pb.ts'

/** Names are those that clients ask for. Rules are stored but not evaluated yet, so the ruler counts as off. */
const FLAGS = [
  { name: 'pyroscopeRuler', enabled: false, description: 'Recording rules are evaluated into metrics.' },
  { name: 'pyroscopeRulerFunctions', enabled: false, description: 'Recording rules may name a function.' },
  { name: 'utf8LabelNames', enabled: true, description: 'Label names may hold any characters.' },
  { name: 'v2StorageLayer', enabled: true, description: 'Profiles live in an object store.' },
]

export function mountCompanions(app: Hono, options: ConnectServerOptions): void {
  mountService(app, FeatureFlagsService, { getFeatureFlags: () => ({ featureFlags: FLAGS }) }, options)
  mountService(app, VCSService, {}, options)
  // Asked before there is a tenant.
  const { bodyLimitBytes, compression, log } = options
  mountService(app, Version, { version: () => ({ QuerierAPI: 1n }) }, { bodyLimitBytes, compression, log })
}
