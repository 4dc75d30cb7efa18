/** Entropy, injected: fills and returns a new array. Used for object ids and jitter, never for secrets. */
export interface Random {
  bytes(count: number): Uint8Array
}
