/**
 * Where edges call this writer, and under which name: pure. The address is the setting, or the listener's; one that
 * listens everywhere is called at its machine's first address that others reach. The name follows from the address, so
 * that a writer that starts again at its place gets its slots again.
 */
import type { WriterPlace } from './registration.ts'

/** As `os.networkInterfaces()` gives them. */
export type Interfaces = Readonly<
  Record<
    string,
    readonly { readonly address: string; readonly family: string; readonly internal: boolean }[] | undefined
  >
>

/** Undefined: it listens everywhere, and nothing says where that is. */
export function placeOfWriter(
  advertisedUrl: string | undefined,
  listenerUrl: string,
  interfaces: Interfaces,
): WriterPlace | undefined {
  if (advertisedUrl !== undefined) return placeAt(new URL(advertisedUrl))
  const url = new URL(listenerUrl)
  if (url.hostname === '0.0.0.0' || url.hostname === '[::]') {
    const reachable = Object.values(interfaces)
      .flatMap((addresses) => addresses ?? [])
      .find(({ family, internal }) => family === 'IPv4' && !internal)
    if (reachable === undefined) return undefined
    url.hostname = reachable.address
  }
  return placeAt(url)
}

/** Its metastore is elsewhere, so edges are too, and to them this address is their own machine. */
export function isOnlyLocal({ address }: WriterPlace, metastoreUrl: string): boolean {
  return isLoopback(new URL(address)) && !isLoopback(new URL(metastoreUrl))
}

function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname)
}

/** Names of writers have no brackets, and no slashes. */
function placeAt(url: URL): WriterPlace {
  const path = url.pathname === '/' ? '' : url.pathname.replace(/\/+$/, '')
  const writerId = `${url.host}${path}`.replaceAll(/[^A-Za-z0-9._:-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '')
  return { writerId, address: `${url.origin}${path}` }
}
