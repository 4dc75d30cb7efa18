/** The store of debug information by Connect, both sides, and the public service of agents. */
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import type { HandlerContext } from '@connectrpc/connect'
import type { Hono } from 'hono'
import { CinderError, invalidArgument } from '#core/errors.ts'
import type { DebuginfoStore, StoredDebuginfo } from '#core/rpc/debuginfo.ts'
import { DebuginfoStoreService } from '../gen/cinder/v1/debuginfo_pb.ts'
import {
  DebuginfoService,
  type FileMetadata_Type,
  ObjectMetadata_State,
} from '../gen/debuginfo/v1alpha1/debuginfo_pb.ts'
import { type ConnectClientOptions, createUnaryCall } from './client.ts'
import { type ConnectServerOptions, mountService } from './server.ts'
import type { InternalServerOptions } from './services.ts'

export function createDebuginfoClient(url: string, options?: ConnectClientOptions): DebuginfoStore {
  const call = createUnaryCall(url, options)
  const { method } = DebuginfoStoreService
  return {
    begin: (request) => call(method.begin, request),
    putPart: (request) => call(method.putPart, request),
    finish: (request) => call(method.finish, request),
    list: async (request) => ({ files: (await call(method.list, request)).files.map(withFile) }),
    remove: (request) => call(method.remove, request),
  }
}

export function mountDebuginfoStore(app: Hono, store: DebuginfoStore, options: InternalServerOptions): void {
  mountService(
    app,
    DebuginfoStoreService,
    {
      begin({ tenant, file }) {
        if (file === undefined) throw invalidArgument('the request has no file')
        return store.begin({ tenant, file })
      },
      putPart: (request) => store.putPart(request),
      finish: (request) => store.finish(request),
      list: (request) => store.list(request),
      remove: (request) => store.remove(request),
    },
    { ...options, errorDetails: true },
  )
}

/** What agents call; the bytes come by plain HTTP. */
export function mountDebuginfo(
  app: Hono,
  store: DebuginfoStore,
  tenantOf: (context: HandlerContext) => string,
  options: ConnectServerOptions,
): void {
  mountService(
    app,
    DebuginfoService,
    {
      async shouldInitiateUpload({ file }, context) {
        const tenant = tenantOf(context)
        if (file === undefined) throw invalidArgument('the request names no file')
        const { shouldUpload, reason } = await store.begin({ tenant, file })
        return { shouldInitiateUpload: shouldUpload, reason }
      },
      async uploadFinished({ gnuBuildId }, context) {
        const { found } = await store.finish({ tenant: tenantOf(context), buildId: gnuBuildId })
        if (!found) throw unknownFile(gnuBuildId)
        return {}
      },
      async listDebuginfo(_, context) {
        const { files } = await store.list({ tenant: tenantOf(context) })
        return { object: files.map(toMessage) }
      },
      async deleteDebuginfo({ gnuBuildId }, context) {
        const { found } = await store.remove({ tenant: tenantOf(context), buildId: gnuBuildId })
        if (!found) throw unknownFile(gnuBuildId)
        return {}
      },
    },
    options,
  )
}

function toMessage({ file, isUploaded, startedAtMs, finishedAtMs, sizeBytes }: StoredDebuginfo) {
  return {
    file: { ...file, type: file.type as FileMetadata_Type },
    state: isUploaded ? ObjectMetadata_State.UPLOADED : ObjectMetadata_State.UPLOADING,
    startedAt: timestampFromMs(startedAtMs),
    ...(finishedAtMs === 0 ? {} : { finishedAt: timestampFromMs(finishedAtMs) }),
    sizeBytes: BigInt(sizeBytes),
  }
}

/** A message of an older writer may lack it. */
function withFile(
  stored: Omit<StoredDebuginfo, 'file'> & { file?: StoredDebuginfo['file'] | undefined },
): StoredDebuginfo {
  const none = { gnuBuildId: '', goBuildId: '', otelFileId: '', name: '', type: 0 }
  return { ...stored, file: stored.file ?? none }
}

function unknownFile(buildId: string): CinderError {
  return new CinderError('not_found', `there is no debug information of ${JSON.stringify(buildId.slice(0, 64))}`)
}
