/** A call graph in DOT: line-level stacks, cut to what a graph can show, as text. */
import { baseName } from './frame-name.ts'
import { buildCallGraph } from './call-graph.ts'
import { writeDot } from './dot.ts'
import { parseProfileType } from '../labels/profile-type.ts'
import { cutProfile } from './profile-cut.ts'
import type { SummedStacks } from './stack-profile.ts'

/** Where a request names no limit: more boxes than a screen shows, and text that a language model can take. */
const NODES_DEFAULT = 100
/** Functions of the stacks that a graph is made of: frames of one function are several nodes. */
const FUNCTIONS_MIN = 512

/** '' without stacks. `maxNodes` 0: the default. */
export function dotOf(
  taken: SummedStacks | undefined,
  { profileType, endMs, maxNodes }: { readonly profileType: string; readonly endMs: number; readonly maxNodes: number },
): string {
  const cut = taken === undefined ? undefined : cutProfile(taken, Math.max(FUNCTIONS_MIN, maxNodes))
  if (cut === undefined) return ''
  const { sampleType, sampleUnit } = parseProfileType(profileType)
  const graph = buildCallGraph(cut, maxNodes === 0 ? NODES_DEFAULT : maxNodes)
  return writeDot(graph, { sampleType, sampleUnit, timeMs: endMs, binary: binaryOf(cut) })
}

/** The first by name of the binaries that frames come from. */
function binaryOf({ symbols }: SummedStacks): string {
  const decoder = new TextDecoder()
  const { stringBytes, stringOffset } = symbols
  const names = Array.from(symbols.mappingFilename.subarray(0, symbols.mappingCount), (string) =>
    baseName(decoder.decode(stringBytes.subarray(stringOffset[string]!, stringOffset[string + 1]!))),
  )
  return names.filter((name) => name !== '').sort()[0] ?? ''
}
