/** Queries that make one answer: where one of them fails the others have nothing to read for any more. */

export async function runTogether<First, Second>(
  signal: AbortSignal,
  first: (signal: AbortSignal) => Promise<First>,
  second: (signal: AbortSignal) => Promise<Second>,
): Promise<[First, Second]> {
  const over = new AbortController()
  const ended = AbortSignal.any([signal, over.signal])
  try {
    return await Promise.all([first(ended), second(ended)])
  } finally {
    over.abort()
  }
}
