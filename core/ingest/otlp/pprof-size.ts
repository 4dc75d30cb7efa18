/** How many bytes parts of a pprof take on the wire: profiles of OTLP are measured by the pprof that they say. */

/** Of a number below 2^32. */
export function varintBytes(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x20_0000) return 3
  return value < 0x1000_0000 ? 4 : 5
}

/** Of 64 bits in two lanes. */
export function varint64Bytes(lo: number, hi: number): number {
  if (hi === 0) return varintBytes(lo)
  if (hi < 1 << 3) return 5
  if (hi < 1 << 10) return 6
  if (hi < 1 << 17) return 7
  if (hi < 1 << 24) return 8
  return hi < 0x8000_0000 ? 9 : 10
}

/** A number as a field below 16; zero is not written. */
export function fieldBytes(value: number): number {
  return value === 0 ? 0 : 1 + varintBytes(value)
}

export function field64Bytes(lo: number, hi: number): number {
  return lo === 0 && hi === 0 ? 0 : 1 + varint64Bytes(lo, hi)
}

/** A varint that came with so many bytes as a field; nothing if it did not come. */
export function copiedBytes(sizeBytes: number): number {
  return sizeBytes === 0 ? 0 : 1 + sizeBytes
}

/** A text or message as a field below 16. */
export function messageBytes(bodyBytes: number): number {
  return 1 + varintBytes(bodyBytes) + bodyBytes
}
