/**
 * Debug information of agents: `debuginfo.v1alpha1`, and the bytes at `POST …/Upload/{gnu_build_id}`.
 *
 * The body goes on in parts as it comes, so that a gigabyte takes the memory of one part. A build id that is none is 400, a
 * file that nobody expects 412, one that is too large 413; what a retry mends is 503.
 */
import type { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import type { Log } from '#core/ports/log.ts'
import { isBuildId } from '#core/retention/debuginfo-key.ts'
import type { DebuginfoStore } from '#core/rpc/debuginfo.ts'
import { MIB } from '#core/units.ts'
import { mountDebuginfo } from '#platform/connect/debuginfo-service.ts'
import { type ConnectServerOptions, tenantsOf } from '#platform/connect/server.ts'
import { leaseOf } from '#platform/http/body-budget.ts'
import { errorResponse, statusResponse, toCinderError } from '#platform/http/errors.ts'
import { singleTenant } from './push.ts'

export interface DebuginfoDeps {
  readonly log: Log
  readonly resolveTenant: (headers: Headers) => string
  /** Absent: this process cannot reach it, and nothing is wanted. */
  readonly debuginfo?: DebuginfoStore | undefined
}

/** As apps/segment-writer/debuginfo-store.ts takes them. */
const PART_BYTES = 8 * MIB
const PARTS_MAX = 128
const UPLOAD_PATH = '/debuginfo.v1alpha1.DebuginfoService/Upload/:buildId'

export function mountDebuginfoUploads(app: Hono, deps: DebuginfoDeps, options: ConnectServerOptions): void {
  const store = deps.debuginfo ?? NO_STORE
  mountDebuginfo(app, store, (context) => singleTenant(tenantsOf(context)), options)
  app.all(UPLOAD_PATH, async (context) => {
    const request = context.req.raw
    if (request.method !== 'POST') return new Response(null, { status: 405, headers: { Allow: 'POST' } })
    try {
      const tenant = deps.resolveTenant(request.headers)
      const buildId = context.req.param('buildId')
      if (!isBuildId(buildId)) return statusResponse(400, 'gnu_build_id must be 2 to 40 hexadecimal digits')
      return await upload(request, { tenant, buildId }, store)
    } catch (error) {
      const known = toCinderError(error, deps.log, UPLOAD_PATH)
      return known.kind === 'failed_precondition' ? statusResponse(412, known.message) : errorResponse(known)
    }
  })
}

async function upload(
  request: Request,
  of: { readonly tenant: string; readonly buildId: string },
  store: DebuginfoStore,
): Promise<Response> {
  let part = 0
  const put = (body: Uint8Array) => store.putPart({ ...of, part: ++part, body })
  let held = new Uint8Array(0)
  let heldBytes = 0
  for await (const chunk of request.body ?? []) {
    for (let at = 0; at < chunk.length; ) {
      if (held.length === 0) held = partOf(request, part)
      const take = Math.min(PART_BYTES - heldBytes, chunk.length - at)
      held.set(chunk.subarray(at, at + take), heldBytes)
      heldBytes += take
      at += take
      if (heldBytes < PART_BYTES) continue
      if (part === PARTS_MAX) return tooLarge()
      await put(held)
      // What was given away is not written again.
      held = new Uint8Array(0)
      heldBytes = 0
    }
  }
  if (heldBytes > 0 && part === PARTS_MAX) return tooLarge()
  // A last part that is not full, and be it empty, tells the end of a file from an upload that broke off.
  if (part < PARTS_MAX) await put(held.subarray(0, heldBytes))
  return new Response(null, { status: 200 })
}

/** Room for a part. The first counts as a body: the others come when it has gone. */
function partOf(request: Request, partsBefore: number): Uint8Array<ArrayBuffer> {
  const lease = leaseOf(request)
  if (partsBefore === 0 && lease?.take(Math.min(PART_BYTES, lease.budget.maxBytes)) === false) {
    throw lease.budget.busy()
  }
  return new Uint8Array(PART_BYTES)
}

function tooLarge(): Response {
  return statusResponse(413, `the file is larger than the allowed ${PARTS_MAX * PART_BYTES} bytes`)
}

const notKept = () => Promise.reject(new CinderError('unimplemented', 'debug information is not kept by this server'))

const NO_STORE: DebuginfoStore = {
  begin: async () => ({ shouldUpload: false, reason: 'debug information is not kept by this server' }),
  putPart: notKept,
  finish: notKept,
  list: notKept,
  remove: notKept,
}
