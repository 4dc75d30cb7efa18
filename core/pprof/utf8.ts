/**
 * UTF-8 validity of byte ranges (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF), without decoding
 * them. An ASCII scan comes first: in real profiles fewer than one string in a thousand has anything else.
 */

export function isValidUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let seen = 0
  for (let i = start; i < end; i++) seen |= bytes[i]!
  return seen < 0x80 || isValidMultibyte(bytes, start, end)
}

function isValidMultibyte(bytes: Uint8Array, start: number, end: number): boolean {
  let i = start
  while (i < end) {
    const lead = bytes[i++]!
    if (lead < 0x80) continue
    // 0xc0 and 0xc1 would be overlong, 0xf5 and above pass U+10FFFF.
    if (lead < 0xc2 || lead > 0xf4) return false
    const continuation = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3
    if (end - i < continuation) return false
    const second = bytes[i]!
    if (second < secondMin(lead) || second > secondMax(lead)) return false
    for (let k = 1; k < continuation; k++) if ((bytes[i + k]! & 0xc0) !== 0x80) return false
    i += continuation
  }
  return true
}

/** 0xe0 and 0xf0 begin overlong forms below these bounds. */
function secondMin(lead: number): number {
  if (lead === 0xe0) return 0xa0
  return lead === 0xf0 ? 0x90 : 0x80
}

/** 0xed begins the surrogates above, 0xf4 what lies past U+10FFFF. */
function secondMax(lead: number): number {
  if (lead === 0xed) return 0x9f
  return lead === 0xf4 ? 0x8f : 0xbf
}

/** First byte at or after `start` that begins a character: where a cut through bytes may begin. */
export function characterStart(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end && (bytes[at]! & 0xc0) === 0x80) at++
  return at
}
