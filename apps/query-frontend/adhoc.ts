/**
 * Ad-hoc profiles: a file is uploaded, listed, shown by sample type, and compared with another. The store keeps the bytes;
 * flame graphs are made anew for each answer, in the JSON of the render endpoints, as a text; where answers of queries end,
 * because reading a large file would hold up the loop that takes pushes.
 *
 * A file waits for its turn as a query of its size does, before it is fetched or decoded: what ends answers has no bound of
 * its own, takes seconds for a large file, and goes before the calls of queries.
 */
import { CinderError, invalidArgument } from '#core/errors.ts'
import { type AnswerWorker, WORK_HERE } from '#core/query/answer-task.ts'
import { type FileGraph, type FileTask, readFileGraph } from '#core/query/file-graph.ts'
import type { AdhocStore } from '#core/rpc/adhoc.ts'
import { MIB } from '#core/units.ts'
import { type ConnectServerOptions, mountService, type tenantsOf } from '#platform/connect/server.ts'
import { AdHocProfileService } from '#platform/gen/adhocprofiles/v1/adhocprofiles_pb.ts'
import type { Hono } from 'hono'
import type { AdmissionGate } from './admission-gate.ts'
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
  /** Absent: in the loop that answers. */
  readonly answerWorker?: AnswerWorker | undefined
}

type CallContext = Parameters<typeof tenantsOf>[0] & { readonly signal: AbortSignal }

export function mountAdhocProfiles(
  app: Hono,
  deps: AdhocDeps & { readonly admission: AdmissionGate },
  options: ConnectServerOptions,
  contextOf: (call: CallContext) => RequestContext,
): void {
  const open = async (tenant: string, id: string): Promise<Opened> => {
    const { name, uploadedAtMs, body } = await storeOf(deps).getProfile({ tenant, id })
    return { id, name, uploadedAtMs, raw: await inflated(body, options) }
  }
  const graphOf = async (task: FileTask, { signal }: CallContext) =>
    readFileGraph(await (deps.answerWorker ?? WORK_HERE).run(task, signal))
  const inTurn = turnsOf(deps.admission)
  mountService(
    app,
    AdHocProfileService,
    {
      async upload({ name, profile, maxNodes }, call) {
        const context = contextOf(call)
        const tenant = singleTenantOf(context.tenants)
        const limit = maxNodesOf(maxNodes, context)
        // Read before it is kept: what cannot be shown is refused now.
        const { body, graph } = await inTurn(tenant, 1, call, async () => {
          const own = decodeBase64(profile)
          const inflatedBody = await inflated(own, options)
          // What is worked on may be given away.
          const raw = inflatedBody === own ? own.slice() : inflatedBody
          const task = { kind: 'file', parts: [raw], ...wishOf(undefined, limit) } as const
          return { body: own, graph: await graphOf(task, call) }
        })
        const { id, uploadedAtMs } = await storeOf(deps).putProfile({ tenant, name, body })
        return shown({ id, name: id.slice(id.indexOf('-') + 1), uploadedAtMs }, graph)
      },
      async get({ id, profileType, maxNodes }, call) {
        const context = contextOf(call)
        const limit = maxNodesOf(maxNodes, context)
        const tenant = singleTenantOf(context.tenants)
        return inTurn(tenant, 1, call, async () => {
          const { raw, ...kept } = await open(tenant, id)
          return shown(kept, await graphOf({ kind: 'file', parts: [raw], ...wishOf(profileType, limit) }, call))
        })
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
        return inTurn(tenant, 2, call, async () => {
          const [left, right] = await Promise.all([open(tenant, leftId), open(tenant, rightId)])
          const sides = { parts: [left.raw], right: [right.raw] }
          return compared(await graphOf({ kind: 'file-diff', ...sides, ...wishOf(profileType, limit) }, call))
        })
      },
    },
    { ...options, bodyLimitBytes: UPLOAD_BODY_MAX_BYTES },
  )
}

/** What a file comes to is known when it is inflated: before, it is as large as any. */
function turnsOf(admission: AdmissionGate) {
  return async <Answer>(tenant: string, files: number, { signal }: CallContext, run: () => Promise<Answer>) => {
    const bytes = files * PROFILE_MAX_BYTES
    const leave = await admission.enter({ tenant, bytes, atOnceBytes: bytes }, signal)
    try {
      return await run()
    } finally {
      leave()
    }
  }
}

interface Kept {
  readonly id: string
  readonly name: string
  readonly uploadedAtMs: number
}

interface Opened extends Kept {
  readonly raw: Uint8Array
}

function wishOf(type: string | undefined, maxNodes: number) {
  return { limits: LIMITS, type, maxNodes }
}

/** A file is of no range. */
const NO_TIMELINES = '"timeline":{"startTime":0,"samples":[],"durationDelta":0,"watermarks":null},"groups":null'

function shown({ id, name, uploadedAtMs }: Kept, graph: FileGraph) {
  return {
    id,
    name,
    uploadedAt: BigInt(uploadedAtMs),
    profileType: graph.type,
    profileTypes: [...graph.types],
    flamebearerProfile: renderAnswer(renderType(graph), graph.graph, NO_TIMELINES),
  }
}

function compared(graph: FileGraph) {
  return {
    profileTypes: [...graph.types],
    flamebearerProfile: renderDiffAnswer(renderType(graph), graph.graph),
  }
}

/** Colons would shift the parts. */
function renderType({ type, unit }: FileGraph): string {
  const [name, shownUnit] = [type, unit].map((part) => part.replaceAll(':', '_'))
  return `adhoc:${name}:${shownUnit}::`
}

async function inflated(body: Uint8Array, { compression }: ConnectServerOptions): Promise<Uint8Array> {
  const isGzip = body[0] === 0x1f && body[1] === 0x8b
  return isGzip ? compression.gunzip(body, PROFILE_MAX_BYTES) : body
}

function decodeBase64(text: string): Uint8Array {
  let binary: string
  try {
    binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  } catch {
    throw invalidArgument('profile is not base64', 'malformed_profile')
  }
  // Eleven million calls of a callback would take a tenth of a second.
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}

function storeOf({ adhoc }: AdhocDeps): AdhocStore {
  if (adhoc !== undefined) return adhoc
  throw new CinderError('unimplemented', 'ad-hoc profiles cannot be kept by this server', { reason: 'no_adhoc_store' })
}
