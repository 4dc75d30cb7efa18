/**
 * How many bytes of typed arrays and buffers are allocated, counted exactly: the constructors are wrapped while a fuzzer
 * runs. Decoders put rows into typed arrays, so a length that is believed before it is checked shows here at once, and
 * on every machine alike. What is not counted are strings, objects and what zlib makes.
 */
const COUNTED = ['ArrayBuffer', 'Uint8Array', 'Uint16Array', 'Int32Array', 'Uint32Array', 'Float64Array'] as const

let allocatedBytes = 0

/** Wraps the constructors of this process for good; more than once is the same as once. */
export function countAllocations(): void {
  const scope = globalThis as unknown as Record<string, new (...args: unknown[]) => ArrayBufferView | ArrayBuffer>
  for (const name of COUNTED) {
    const plain = scope[name]!
    if (Object.hasOwn(plain, 'isCounted')) return
    scope[name] = new Proxy(plain, {
      construct(target, args, newTarget) {
        const made = Reflect.construct(target, args, newTarget) as ArrayBufferView | ArrayBuffer
        // A view of a buffer that is there already takes nothing.
        if (!(args[0] instanceof ArrayBuffer)) allocatedBytes += made.byteLength
        return made
      },
      has: (target, key) => key === 'isCounted' || Reflect.has(target, key),
      getOwnPropertyDescriptor: (target, key) =>
        key === 'isCounted'
          ? { value: true, configurable: true, enumerable: false, writable: false }
          : Reflect.getOwnPropertyDescriptor(target, key),
    })
  }
}

/** Since the process began. */
export function countedBytes(): number {
  return allocatedBytes
}
