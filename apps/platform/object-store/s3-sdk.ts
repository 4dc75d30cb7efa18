/**
 * What the SDK is good for: finding credentials and region the way every AWS tool does (environment, profile, web
 * identity, container and instance roles), and the cold operations with XML bodies: list, begin, complete and abort an
 * upload. It costs several times the CPU of s3-http.ts, so no put and no get goes through it.
 *
 * Checksums are WHEN_REQUIRED: the newer default sends CRC32 trailers, which R2, older MinIO, GCS and Garage refuse.
 * It does not retry: wrappers do, with one rule for both halves.
 */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3'
import type { FetchHttpHandler } from '@smithy/fetch-http-handler'
import { CinderError, invalidArgument } from '#core/errors.ts'
import { parseRetryAfterMs, s3Error } from './s3-errors.ts'
import { canceled, messageOf, type S3Credentials } from './s3-http.ts'
import type { S3Location } from './s3-location.ts'

export interface S3Sdk {
  readonly region: string
  credentials(isForced: boolean): Promise<S3Credentials>
  /** One page, at most 1,000 keys. */
  listPage(request: ListPageRequest, signal?: AbortSignal): Promise<ListPage>
  createUpload(key: string, signal?: AbortSignal): Promise<string>
  completeUpload(upload: UploadName, etags: readonly string[], signal?: AbortSignal): Promise<void>
  abortUpload(upload: UploadName, signal?: AbortSignal): Promise<void>
}

interface UploadName {
  readonly key: string
  readonly uploadId: string
}

interface ListPageRequest {
  readonly prefix: string
  readonly startAfter: string | undefined
  readonly token: string | undefined
  readonly limit: number
}

interface ListPage {
  readonly keys: readonly string[]
  /** Undefined = this was the last one. */
  readonly token: string | undefined
}

export async function createS3Sdk(location: S3Location, handler: FetchHttpHandler): Promise<S3Sdk> {
  const { bucket: Bucket } = location
  const region = location.region ?? (await regionOf(location))
  const client = new S3Client({ ...clientSettings(location), region, requestHandler: handler })
  // `run` keeps the names of the SDK's fields in one place, and its errors in ours.
  const run = async <T>(call: SdkCall, action: (options: { abortSignal?: AbortSignal }) => Promise<T>): Promise<T> => {
    try {
      return await action(call.signal === undefined ? {} : { abortSignal: call.signal })
    } catch (error) {
      throw sdkError(error, call)
    }
  }
  return {
    region,
    credentials: (isForced) => client.config.credentials({ forceRefresh: isForced }),
    listPage: ({ prefix, startAfter, token, limit }, signal) =>
      run({ action: `list ${prefix}`, isWrite: false, signal }, async (options) => {
        const input = { Bucket, Prefix: prefix, StartAfter: startAfter, ContinuationToken: token, MaxKeys: limit }
        const page = await client.send(new ListObjectsV2Command(input), options)
        const keys = (page.Contents ?? []).map(({ Key }) => Key ?? '')
        return { keys, token: page.IsTruncated === true ? page.NextContinuationToken : undefined }
      }),
    createUpload: (key, signal) =>
      run({ action: `begin the upload of ${key}`, isWrite: true, signal }, async (options) => {
        const input = { Bucket, Key: key, ContentType: 'application/octet-stream', ...encryptionOf(location) }
        const { UploadId } = await client.send(new CreateMultipartUploadCommand(input), options)
        if (UploadId === undefined) throw new CinderError('internal', `the upload of ${key} got no id`)
        return UploadId
      }),
    completeUpload: ({ key, uploadId }, etags, signal) =>
      run({ action: `complete the upload of ${key}`, isWrite: true, signal }, async (options) => {
        const Parts = etags.map((ETag, i) => ({ ETag, PartNumber: i + 1 }))
        const input = { Bucket, Key: key, UploadId: uploadId, MultipartUpload: { Parts } }
        await client.send(new CompleteMultipartUploadCommand(input), options)
      }),
    abortUpload: ({ key, uploadId }, signal) =>
      run({ action: `abort the upload of ${key}`, isWrite: true, signal }, async (options) => {
        await client.send(new AbortMultipartUploadCommand({ Bucket, Key: key, UploadId: uploadId }), options)
      }),
  }
}

interface SdkCall {
  readonly action: string
  readonly isWrite: boolean
  readonly signal: AbortSignal | undefined
}

function encryptionOf({ encryption }: S3Location) {
  if (encryption === undefined) return {}
  if (encryption.kind === 'AES256') return { ServerSideEncryption: encryption.kind }
  return {
    ServerSideEncryption: encryption.kind,
    ...(encryption.keyId === undefined ? {} : { SSEKMSKeyId: encryption.keyId }),
  }
}

function clientSettings({ endpoint, isPathStyle }: S3Location) {
  return {
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 1,
    forcePathStyle: isPathStyle,
    ...(endpoint === undefined ? {} : { endpoint: endpoint.origin }),
  } as const
}

/** From the environment or the profile. Stores with an endpoint of their own mostly do not look at it. */
async function regionOf(location: S3Location): Promise<string> {
  try {
    return await new S3Client(clientSettings(location)).config.region()
  } catch (cause) {
    if (location.endpoint !== undefined) return 'us-east-1'
    throw invalidArgument(
      `STORAGE_URL names no region, nor do AWS_REGION and the profile (${messageOf(cause)}); add ?region=`,
      'storage_url',
    )
  }
}

function sdkError(error: unknown, { action, isWrite, signal }: SdkCall): CinderError {
  if (error instanceof CinderError) return error
  if (signal?.aborted === true) return canceled(action, isWrite)
  const known = error as { name?: string; $metadata?: { httpStatusCode?: number }; $response?: SdkResponse } | undefined
  const status = known?.$metadata?.httpStatusCode ?? known?.$response?.statusCode ?? 0
  if (known?.name === 'CredentialsProviderError')
    return new CinderError('unauthenticated', `no credentials for S3: ${messageOf(error)}`, {
      reason: 'no_credentials',
    })
  return s3Error({
    action,
    isWrite,
    status,
    code: status === 0 ? '' : (known?.name ?? ''),
    message: messageOf(error),
    retryAfterMs: parseRetryAfterMs(known?.$response?.headers?.['retry-after']),
    cause: error,
  })
}

interface SdkResponse {
  readonly statusCode?: number
  readonly headers?: Readonly<Record<string, string>>
}
