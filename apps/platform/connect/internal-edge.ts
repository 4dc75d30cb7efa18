/**
 * What the calls of an edge app carry on workers and Deno. The token is the same everywhere. Certificates differ:
 * a worker has no files, so it calls through a binding (`INTERNAL_FETCHER`, an mTLS certificate of the platform); Deno
 * reads the files and holds a client of its own.
 */
import { invalidArgument } from '#core/errors.ts'
import type { Env } from '../env.ts'
import type { ConnectClientOptions } from './client.ts'
import { type InternalSettings, readInternalSettings } from './internal-settings.ts'

/** What this file needs of the global `Deno`. */
interface DenoFiles {
  readTextFileSync(path: string): string
  createHttpClient(options: { caCerts?: string[]; cert?: string; key?: string }): object
}

type Send = NonNullable<ConnectClientOptions['fetch']>

export function openEdgeInternal(env: Env): ConnectClientOptions {
  const settings = readInternalSettings(env)
  const token = settings.tokens[0] === undefined ? {} : { token: settings.tokens[0] }
  const send = fetcherOf(env) ?? certifiedFetch(settings)
  return send === undefined ? token : { ...token, fetch: send }
}

/** A binding is an object where settings are texts. */
function fetcherOf(env: Env): Send | undefined {
  const binding = (env as Readonly<Record<string, unknown>>)['INTERNAL_FETCHER']
  if (typeof binding !== 'object' || binding === null) return undefined
  const fetcher = binding as { fetch: Send }
  return (url, init) => fetcher.fetch(url, init)
}

function certifiedFetch({ certPath, keyPath, caPath }: InternalSettings): Send | undefined {
  if (certPath === undefined && caPath === undefined) return undefined
  const { Deno: deno } = globalThis as { Deno?: DenoFiles }
  if (deno === undefined) {
    throw invalidArgument(
      'settings CINDER_TLS_* name files, and a worker has none: bind an mTLS certificate as INTERNAL_FETCHER',
      'bad_setting',
    )
  }
  const client = deno.createHttpClient({
    ...(caPath === undefined ? {} : { caCerts: [deno.readTextFileSync(caPath)] }),
    ...(certPath === undefined || keyPath === undefined
      ? {}
      : { cert: deno.readTextFileSync(certPath), key: deno.readTextFileSync(keyPath) }),
  })
  const withClient = (init: RequestInit): RequestInit & { readonly client: object } => ({ ...init, client })
  return (url, init) => fetch(url, withClient(init))
}
