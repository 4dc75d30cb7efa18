/** Bytes as hexadecimal digits, in lower case: ids of traces, spans and profiles. */
export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
