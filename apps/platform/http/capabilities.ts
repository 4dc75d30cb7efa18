/**
 * What a client can take, from parameters of its `Accept` header: `*\/*;allow-utf8-labelnames=true`.
 * A header that does not parse has no capabilities; it is never an error.
 */
export interface ClientCapabilities {
  /** Without it LabelNames and Series hide names outside `[a-zA-Z_][a-zA-Z0-9_]*`. */
  readonly utf8LabelNames: boolean
}

export function clientCapabilities(headers: Headers): ClientCapabilities {
  const accept = headers.get('accept') ?? ''
  for (const range of accept.split(',')) {
    for (const parameter of range.split(';').slice(1)) {
      const [name, value] = parameter.split('=').map((part) => part.trim().toLowerCase())
      if (name === 'allow-utf8-labelnames' && value?.replace(/^"(.*)"$/, '$1') === 'true') {
        return { utf8LabelNames: true }
      }
    }
  }
  return { utf8LabelNames: false }
}
