/**
 * Ad-hoc profiles: a file is uploaded, listed, shown by sample type, and compared with another. The store keeps the bytes;
 * flame graphs are made anew for each answer, in the JSON of the render endpoints, as a text.
 */
import { CinderError, invalidArgument } from '#core/errors.ts'
import { cutTree } from '#core/flamegraph/cut.ts'
import { cutPair, flameGraphDiffOf } from '#core/flamegraph/diff.ts'
import { flameGraphOf } from '#core/flamegraph/flamegraph.ts'
import { flamebearerDiffText, flamebearerText } from '#core/flamegraph/graph-text.ts'
import { type ProfileTree, readProfileTrees } from '#core/flamegraph/profile-trees.ts'
import type { AdhocStore } from '#core/rpc/adhoc.ts'
import { MIB } from '#core/units.ts'
import { type ConnectServerOptions, mountService, type tenantsOf } from '#platform/connect/server.ts'
import { AdHocProfileService } from '#platform/gen/adhocprofiles/v1/adhocprofiles_pb.ts'
import type { Hono } from 'hono'
import { renderAnswer, renderDiffAnswer } from './render-answer.ts'
import { maxNodesOf, type RequestContext, singleTenantOf } from './request.ts'

/** A file of 11 MiB as base64; larger ones are no profile of a few minutes. An edge process has 128 MiB. */
const UPLOAD_BODY_MAX_BYTES = 16 * MIB
/** Inflated: decoded columns take as much again. */
const PROFILE_MAX_BYTES = 32 * MIB
/** Limits of a tenant are for what is stored; here the size alone bounds the work. */
const LIMITS = { maxProfileSizeBytes: PROFILE_MAX_BYTES, maxSamples: 0, maxSymbolBytes: 0 }

export interface AdhocDeps {
  /** Absent: this process cannot reach one. */
  readonly adhoc?: AdhocStore | undefined
}

type CallContext = Parameters<typeof tenantsOf>[0]

export function mountAdhocProfiles(
  app: Hono,
  deps: AdhocDeps,
  options: ConnectServerOptions,
  contextOf: (call: CallContext) => RequestContext,
): void {
  const open = async (tenant: string, id: string): Promise<Opened> => {
    const { name, uploadedAtMs, body } = await storeOf(deps).getProfile({ tenant, id })
    return { id, name, uploadedAtMs, trees: await treesOf(body, options) }
  }
  mountService(
    app,
    AdHocProfileService,
    {
      async upload({ name, profile, maxNodes }, call) {
        const context = contextOf(call)
        const tenant = singleTenantOf(context.tenants)
        const limit = maxNodesOf(maxNodes, context)
        const body = decodeBase64(profile)
        // Read before it is kept: what cannot be shown is refused now.
        const trees = await treesOf(body, options)
        const { id, uploadedAtMs } = await storeOf(deps).putProfile({ tenant, name, body })
        const kept = { id, name: id.slice(id.indexOf('-') + 1), uploadedAtMs, trees }
        return shown(kept, { type: undefined, maxNodes: limit })
      },
      async get({ id, profileType, maxNodes }, call) {
        const context = contextOf(call)
        const limit = maxNodesOf(maxNodes, context)
        return shown(await open(singleTenantOf(context.tenants), id), { type: profileType, maxNodes: limit })
      },
      async list(_, call) {
        const tenant = singleTenantOf(contextOf(call).tenants)
        const { profiles } = await storeOf(deps).listProfiles({ tenant })
        return {
          profiles: profiles.map(({ uploadedAtMs, ...each }) => ({ ...each, uploadedAt: BigInt(uploadedAtMs) })),
        }
      },
      async diff({ leftId, rightId, profileType, maxNodes }, call) {
        const context = contextOf(call)
        const tenant = singleTenantOf(context.tenants)
        const limit = maxNodesOf(maxNodes, context)
        const [left, right] = await Promise.all([open(tenant, leftId), open(tenant, rightId)])
        return compared(left, right, { type: profileType, maxNodes: limit })
      },
    },
    { ...options, bodyLimitBytes: UPLOAD_BODY_MAX_BYTES },
  )
}

interface Opened {
  readonly id: string
  readonly name: string
  readonly uploadedAtMs: number
  readonly trees: readonly ProfileTree[]
}

interface Wish {
  /** Name of the sample type; undefined: the first. */
  readonly type: string | undefined
  readonly maxNodes: number
}

function shown({ id, name, uploadedAtMs, trees }: Opened, { type, maxNodes }: Wish) {
  const chosen = treeOf(trees, type)
  const graph = flameGraphOf(cutTree(chosen.tree, maxNodes))
  const timeline = { startTime: 0, samples: [], durationDelta: 0 }
  return {
    id,
    name,
    uploadedAt: BigInt(uploadedAtMs),
    profileType: chosen.type,
    profileTypes: trees.map((each) => each.type),
    flamebearerProfile: renderAnswer(renderType(chosen), flamebearerText(graph), { timeline, groups: null }),
  }
}

/** Types that both have, in the order of the left one. */
function compared(left: Opened, right: Opened, { type, maxNodes }: Wish) {
  const types = left.trees.map((each) => each.type).filter((each) => right.trees.some((other) => other.type === each))
  if (types.length === 0) throw invalidArgument('the profiles have no sample type in common', 'profile_type')
  const chosen = treeOf(left.trees, type ?? types[0])
  const pair = cutPair(chosen.tree, treeOf(right.trees, chosen.type).tree, maxNodes)
  return {
    profileTypes: types,
    flamebearerProfile: renderDiffAnswer(renderType(chosen), flamebearerDiffText(flameGraphDiffOf(pair))),
  }
}

function treeOf(trees: readonly ProfileTree[], type: string | undefined): ProfileTree {
  const chosen = type === undefined || type === '' ? trees[0] : trees.find((each) => each.type === type)
  if (chosen !== undefined) return chosen
  const known = trees.map((each) => each.type).join(', ')
  throw invalidArgument(`the profile has no sample type ${JSON.stringify(type)}: it has ${known}`, 'profile_type')
}

/** Colons would shift the parts. */
function renderType({ type, unit }: ProfileTree): string {
  const [name, shownUnit] = [type, unit].map((part) => part.replaceAll(':', '_'))
  return `adhoc:${name}:${shownUnit}::`
}

async function treesOf(body: Uint8Array, { compression }: ConnectServerOptions): Promise<ProfileTree[]> {
  const isGzip = body[0] === 0x1f && body[1] === 0x8b
  return readProfileTrees(isGzip ? await compression.gunzip(body, PROFILE_MAX_BYTES) : body, LIMITS)
}

function decodeBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0))
  } catch {
    throw invalidArgument('profile is not base64', 'malformed_profile')
  }
}

function storeOf({ adhoc }: AdhocDeps): AdhocStore {
  if (adhoc !== undefined) return adhoc
  throw new CinderError('unimplemented', 'ad-hoc profiles cannot be kept by this server', { reason: 'no_adhoc_store' })
}
