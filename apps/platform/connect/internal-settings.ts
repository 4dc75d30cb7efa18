/**
 * How our services know each other: a shared bearer token, certificates, or both. The same names in every service, read
 * from the environment (or the bindings of a worker).
 *
 * `CINDER_INTERNAL_TOKEN` may hold two tokens, `first,second`: the first is sent, both are accepted, so that a token is
 * changed without a stop: `old,new` everywhere, then `new,old` everywhere, then `new`.
 */
import { invalidArgument } from '#core/errors.ts'
import { type Env, pickShared } from '../env.ts'

export interface InternalSettings {
  /** The first is sent, each is accepted; none = nobody is asked. */
  readonly tokens: readonly string[]
  /** Files in PEM. A certificate and its key go together. */
  readonly certPath: string | undefined
  readonly keyPath: string | undefined
  /** Who may have signed the other side's certificate; with it a listener asks its callers for one. */
  readonly caPath: string | undefined
}

/** 16 characters of base64 are 96 bits. */
const TOKEN_CHARS_MIN = 16
/** A header line of common proxies is bounded at 4 KiB. */
const TOKEN_CHARS_MAX = 1_024
const TOKENS_MAX = 2

/** Fails with one sentence that names the setting, and never shows a token. */
export function readInternalSettings(env: Env): InternalSettings {
  const settings = pickShared(env)
  const { CINDER_TLS_CERT: certPath, CINDER_TLS_KEY: keyPath, CINDER_TLS_CA: caPath } = settings
  if ((certPath === undefined) !== (keyPath === undefined)) {
    const [given, missing] = certPath === undefined ? ['KEY', 'CERT'] : ['CERT', 'KEY']
    throw invalidArgument(`setting CINDER_TLS_${given} is of no use without CINDER_TLS_${missing}`, 'bad_setting')
  }
  return { tokens: readTokens(settings.CINDER_INTERNAL_TOKEN), certPath, keyPath, caPath }
}

function readTokens(text: string | undefined): readonly string[] {
  if (text === undefined) return []
  const tokens = text.split(',').map((token) => token.trim())
  if (tokens.length > TOKENS_MAX) {
    throw badToken(
      `holds ${tokens.length} tokens, at most ${TOKENS_MAX} are allowed: the one to send, and another to accept`,
    )
  }
  for (const token of tokens) {
    if (token.length < TOKEN_CHARS_MIN || token.length > TOKEN_CHARS_MAX) {
      throw badToken(`has a token of ${token.length} characters, ${TOKEN_CHARS_MIN} to ${TOKEN_CHARS_MAX} are allowed`)
    }
    if (!/^[\w.~+/=-]+$/.test(token))
      throw badToken('has a character that a bearer token may not have: use A-Z a-z 0-9 - . _ ~ + / =')
  }
  return tokens
}

function badToken(what: string) {
  return invalidArgument(`setting CINDER_INTERNAL_TOKEN ${what}`, 'bad_setting')
}

export interface Listener {
  readonly name: string
  readonly host: string
  /** It refuses what changes data (internal-token.ts). */
  readonly refusesOrders?: boolean
}

/** One sentence for the log where anybody who reaches the port may call; undefined where nobody unknown can. */
export function exposureWarning(listener: Listener, settings: InternalSettings): string | undefined {
  const { name, host, refusesOrders = false } = listener
  const asksForCertificate = settings.caPath !== undefined && settings.certPath !== undefined
  if (isLoopback(host) || settings.tokens.length > 0 || asksForCertificate) return undefined
  const orders = refusesOrders ? 'and cinder may not give orders' : 'and call our services, which also delete'
  return (
    `${name} listens on ${host} and asks nobody for a token: whoever reaches the port may see the names of tenants ` +
    `${orders}; set CINDER_INTERNAL_TOKEN, or CINDER_TLS_CERT, CINDER_TLS_KEY and CINDER_TLS_CA`
  )
}

/** Whether strangers may reach who listens there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}
