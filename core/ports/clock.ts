/** Time, injected. `nowMs` is Unix time in milliseconds; `sleep` resolves early when the signal aborts. */
export interface Clock {
  nowMs(): number
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>
}
