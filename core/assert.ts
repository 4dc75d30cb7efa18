/** Assertions for programmer errors. They guard invariants, never input: input errors are `CinderError`s. */

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`)
}

/** For a switch over a closed union: a new member is a compile error here. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`)
}
