/**
 * Which query-backend reads an object, and who does where that one does not: rendezvous hashing over names, so that an
 * object is asked of the same backend by every frontend and its caches hit. A backend that joins or leaves moves only
 * the objects that it gets or had.
 */
import { hashStep, mix32 } from '../wire/hash.ts'

/** Positions in `names`, the owner first. */
export function rankOwners(key: string, names: readonly string[]): number[] {
  const weights = names.map((name) => weigh(key, name))
  return names.map((_, i) => i).sort((a, b) => weights[b]! - weights[a]! || (names[a]! < names[b]! ? -1 : 1))
}

/** The key is finished before the name begins: ids of one millisecond differ in their last characters alone. */
function weigh(key: string, name: string): number {
  return mix32(hashText(name, hashText(key, 0x811c9dc5)))
}

function hashText(text: string, seed: number): number {
  let hash = mix32(seed ^ text.length)
  for (let i = 0; i < text.length; i++) hash = hashStep(hash, text.charCodeAt(i))
  return mix32(hash)
}
