/**
 * Reads `s3://bucket/prefix?endpoint=…&region=…` into what the adapter needs. Pure.
 *
 * Parameters: `endpoint` (any store that speaks S3), `region`, `pathStyle` (true or false; true where an endpoint is
 * given or the bucket has a dot, which no certificate covers), `sse` (`AES256` or `aws:kms`), `kmsKeyId`.
 * Credentials never stand in the URL: it is logged. An unknown parameter is an error with its name.
 */
import { invalidArgument } from '#core/errors.ts'
import { isValidObjectKey } from '#core/ports/object-store.ts'

export interface S3Location {
  readonly bucket: string
  /** Without slashes at its ends; empty = the whole bucket. */
  readonly prefix: string
  /** Undefined = AWS. */
  readonly endpoint: URL | undefined
  readonly region: string | undefined
  readonly isPathStyle: boolean
  readonly encryption: S3Encryption | undefined
}

export type S3Encryption =
  | { readonly kind: 'AES256' }
  | { readonly kind: 'aws:kms'; readonly keyId: string | undefined }

const PARAMETERS = ['endpoint', 'region', 'pathStyle', 'sse', 'kmsKeyId']
/** S3's rule for names; dots and capitals occur in old buckets and in other stores. */
const BUCKET = /^[0-9A-Za-z][0-9A-Za-z._-]{1,253}[0-9A-Za-z]$/
/** Keys of ours have up to 512 characters and S3's 1,024. */
const PREFIX_CHARS_MAX = 512

/** Where the SDK looks for another endpoint; ours is told, so that both halves speak to the same server. */
type EndpointEnv = Readonly<Record<string, string | undefined>>

export function parseS3Url(storageUrl: string, env: EndpointEnv): S3Location {
  const url = new URL(storageUrl)
  if (url.username !== '' || url.password !== '')
    throw bad(
      'holds credentials, which a log would show; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, instead',
    )
  // A URL lowers the case of its host; old buckets may have capitals.
  const bucket = /^s3:\/\/([^/?#]*)/i.exec(storageUrl)![1]!
  if (!BUCKET.test(bucket)) throw bad(`names the bucket ${JSON.stringify(bucket)}, which is no bucket name`)
  const prefix = url.pathname.replace(/^\/+|\/+$/g, '')
  if (prefix !== '' && !(isValidObjectKey(prefix) && prefix.length <= PREFIX_CHARS_MAX))
    throw bad(`has the prefix ${JSON.stringify(prefix)}; allowed: [0-9A-Za-z._-] in segments joined by "/"`)
  for (const name of url.searchParams.keys())
    if (!PARAMETERS.includes(name)) throw bad(`has the parameter ${name}; allowed: ${PARAMETERS.join(', ')}`)
  const given = (name: string) => url.searchParams.get(name) ?? undefined
  const endpoint = parseEndpoint(given('endpoint') ?? env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL)
  return {
    bucket,
    prefix,
    endpoint,
    region: given('region'),
    isPathStyle: parseBoolean(given('pathStyle')) ?? (endpoint !== undefined || bucket.includes('.')),
    encryption: parseEncryption(given('sse'), given('kmsKeyId')),
  }
}

/** For people and logs; holds no secret. */
export function describeS3(location: S3Location, region: string): string {
  const { bucket, prefix, endpoint, encryption } = location
  const where = endpoint === undefined ? `AWS ${region}` : `${endpoint.origin} (${region})`
  const encrypted = encryption === undefined ? '' : `, encrypted by ${encryption.kind}`
  return `s3://${bucket}${prefix === '' ? '' : `/${prefix}`} at ${where}${encrypted}`
}

function parseEndpoint(text: string | undefined): URL | undefined {
  if (text === undefined || text === '') return undefined
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.search !== '')
    throw bad(`has the endpoint ${JSON.stringify(text)}; allowed: a URL such as https://s3.example.org:9000`)
  return url
}

function parseBoolean(text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined
  if (text !== 'true' && text !== 'false') throw bad(`has pathStyle=${text}; allowed: true or false`)
  return text === 'true'
}

function parseEncryption(sse: string | undefined, keyId: string | undefined): S3Encryption | undefined {
  if (sse === undefined || sse === 'AES256') {
    if (keyId !== undefined) throw bad('has kmsKeyId without sse=aws:kms')
    return sse === undefined ? undefined : { kind: 'AES256' }
  }
  if (sse !== 'aws:kms') throw bad(`has sse=${sse}; allowed: AES256, aws:kms`)
  return { kind: 'aws:kms', keyId }
}

function bad(what: string) {
  return invalidArgument(`STORAGE_URL ${what}`, 'storage_url')
}
