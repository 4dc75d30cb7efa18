/**
 * Token and certificates of a process on Bun: what its listener asks for, and what its calls carry. Files are read once,
 * at the start: a new certificate needs a restart.
 */
import { readFileSync } from 'node:fs'
import { invalidArgument } from '#core/errors.ts'
import type { Log } from '#core/ports/log.ts'
import type { Env } from '../env.ts'
import type { ServerTls } from '../http/serve.ts'
import type { ConnectClientOptions } from './client.ts'
import { exposureWarning, type InternalSettings, readInternalSettings, type Listener } from './internal-settings.ts'

export interface Internal {
  /** Accepted by a listener; none = it asks nobody. */
  readonly tokens: readonly string[]
  /** For calls to our own services. */
  readonly client: ConnectClientOptions
  /** For listeners that only our own services call. */
  readonly tls: ServerTls | undefined
  /** Says in one sentence if a listener that is about to start is open to anybody. */
  warnIfOpen(listener: Listener, log: Log): void
  /** Whether anybody who reaches the listener may call what it serves. */
  isOpen(listener: Listener): boolean
}

/** Fails with one sentence that names the setting. */
export function openInternal(env: Env): Internal {
  const settings = readInternalSettings(env)
  const cert = readPem('CINDER_TLS_CERT', settings.certPath)
  const key = readPem('CINDER_TLS_KEY', settings.keyPath)
  const ca = readPem('CINDER_TLS_CA', settings.caPath)
  return {
    tokens: settings.tokens,
    client: clientOptions(settings, { cert, key, ca }),
    tls: cert === undefined || key === undefined ? undefined : { cert, key, ca },
    warnIfOpen(listener, log) {
      const sentence = exposureWarning(listener, settings)
      if (sentence !== undefined) log.warn(sentence)
    },
    isOpen: (listener) => exposureWarning(listener, settings) !== undefined,
  }
}

interface Pems {
  readonly cert: string | undefined
  readonly key: string | undefined
  readonly ca: string | undefined
}

function clientOptions({ tokens }: InternalSettings, { cert, key, ca }: Pems): ConnectClientOptions {
  const token = tokens[0] === undefined ? {} : { token: tokens[0] }
  if (cert === undefined && ca === undefined) return token
  const tls = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  }
  return { ...token, fetch: (url, init) => fetch(url, { ...init, tls }) }
}

function readPem(name: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    const code = (cause as { code?: string }).code ?? String(cause)
    throw invalidArgument(`setting ${name} names ${path}, which cannot be read: ${code}`, 'bad_setting')
  }
  if (!text.includes('-----BEGIN '))
    throw invalidArgument(`setting ${name} names ${path}, which is no PEM file`, 'bad_setting')
  return text
}
