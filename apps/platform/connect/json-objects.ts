/**
 * How many objects and lists a JSON text may become, told by its bytes: one takes three on the wire and 50 to 200 when it is
 * parsed, so that a limit of bytes bounds no memory. Those in strings count too, which are few.
 */
const OPEN_BRACE = 0x7b
const OPEN_BRACKET = 0x5b

export function countJsonObjects(bytes: Uint8Array): number {
  return countOf(bytes, OPEN_BRACE) + countOf(bytes, OPEN_BRACKET)
}

function countOf(bytes: Uint8Array, wanted: number): number {
  let count = 0
  for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, at + 1)) count++
  return count
}
