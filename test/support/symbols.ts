/** Symbols from plain stacks, and back, for tests: a frame is a function name, or a list of names inlined outermost last. */
import { SymbolsBuilder } from '#core/symbols/builder.ts'
import type { Symbols } from '#core/symbols/symbols.ts'

export type PlainFrame = string | readonly string[]
/** Leaf first, as pprof lists it. */
export type PlainStack = readonly PlainFrame[]

export function internText(builder: SymbolsBuilder, text: string): number {
  const bytes = new TextEncoder().encode(text)
  return builder.strings.intern(bytes, 0, bytes.length)
}

export function internFrame(builder: SymbolsBuilder, frame: PlainFrame): number {
  const names = typeof frame === 'string' ? [frame] : frame
  const functions = names.map((name) =>
    builder.internFunction({
      name: internText(builder, name),
      systemName: 0,
      filename: internText(builder, `${name}.go`),
      startLineLo: 0,
      startLineHi: 0,
    }),
  )
  return builder.internLocation({
    mapping: 0,
    addressLo: 0,
    addressHi: 0,
    folded: 0,
    lineCount: functions.length,
    lineFunction: Uint32Array.from(functions),
    lineLo: Uint32Array.from(functions, () => 1),
    lineHi: new Uint32Array(functions.length),
  })
}

/** Stack i of the result is stacks[i], if they are distinct. */
export function symbolsOf(stacks: readonly PlainStack[]): Symbols {
  const builder = new SymbolsBuilder()
  for (const stack of stacks) {
    const locations = Uint32Array.from(stack, (frame) => internFrame(builder, frame))
    builder.stacks.internStack(locations, 0, locations.length)
  }
  return builder.build()
}

/** Names of a stack, leaf first, inlined lines spread out. */
export function stackNames(symbols: Symbols, stackId: number): string[] {
  const names: string[] = []
  for (let node = symbols.stackNode[stackId]!; node !== 0; node = symbols.nodeParent[node]!) {
    const location = symbols.nodeLocation[node]!
    for (let line = symbols.locationLineStart[location]!; line < symbols.locationLineStart[location + 1]!; line++)
      names.push(stringOf(symbols, symbols.functionName[symbols.lineFunction[line]!]!))
  }
  return names
}

export function stringOf(symbols: Pick<Symbols, 'stringBytes' | 'stringOffset'>, id: number): string {
  return new TextDecoder().decode(
    symbols.stringBytes.subarray(symbols.stringOffset[id]!, symbols.stringOffset[id + 1]!),
  )
}
