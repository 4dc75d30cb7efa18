/**
 * Puts the S3 adapter together: location, SDK for credentials and region, signed requests, the store. No wrapper: the
 * caller decides those.
 */
import { FetchHttpHandler } from '@smithy/fetch-http-handler'
import type { Clock } from '#core/ports/clock.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { createS3Store } from './s3.ts'
import { S3Http } from './s3-http.ts'
import { describeS3, parseS3Url, type S3Location } from './s3-location.ts'
import { createS3Sdk } from './s3-sdk.ts'

export interface OpenedS3 {
  readonly store: ObjectStore
  readonly describe: string
}

export interface OpenS3Deps {
  readonly clock: Clock
  readonly env: Readonly<Record<string, string | undefined>>
}

export async function openS3(storageUrl: string, { clock, env }: OpenS3Deps): Promise<OpenedS3> {
  const location = parseS3Url(storageUrl, env)
  const handler = new FetchHttpHandler()
  const sdk = await createS3Sdk(location, handler)
  const prefix = location.prefix === '' ? '' : `${location.prefix}/`
  const origin = originOf(location, sdk.region)
  const pathPrefix = location.isPathStyle ? `/${location.bucket}/${prefix}` : `/${prefix}`
  const settings = { origin, pathPrefix, region: sdk.region, credentials: sdk.credentials, nowMs: () => clock.nowMs() }
  const http = new S3Http(settings, handler)
  const store = createS3Store({ http, sdk, prefix, encryption: location.encryption })
  return { store, describe: describeS3(location, sdk.region) }
}

/** AWS by region, or the endpoint; the bucket goes in front of the host unless it is in the path. */
function originOf({ bucket, endpoint, isPathStyle }: S3Location, region: string): URL {
  const origin = new URL(
    endpoint ?? `https://s3.${region}.${region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'}`,
  )
  if (!isPathStyle) origin.hostname = `${bucket}.${origin.hostname}`
  return origin
}
