/**
 * `CINDER_LIMITS_FILE`: limits and ingest policies of tenants in a JSON file (core/ingest/tenant-settings.ts), read again while
 * the process runs.
 *
 * 1. At the start a file that cannot be read or is wrong ends the process with one sentence.
 * 2. Every ten seconds it is read again. What changed holds from then on; what is wrong by then is told once, and the last
 *    good settings stay.
 */
import { readFile } from 'node:fs/promises'
import { invalidArgument } from '#core/errors.ts'
import type { TenantLimits } from '#core/limits/limits.ts'
import {
  composeSettings,
  parseSettingsLayer,
  type SettingsLayer,
  type TenantSettings,
} from '#core/ingest/tenant-settings.ts'
import { compilePolicy, parsePolicy } from '#core/ingest/policy.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import { createCaptureCompiler } from './captures.ts'
import { createRegexCompiler } from './regex.ts'

/** As the peers read theirs. */
export const REREAD_MS = 10_000

/** Thousands of tenants have a few hundred bytes each. */
const FILE_BYTES_MAX = 64 * 1024 * 1024

export interface LimitsFileDeps {
  readonly clock: Clock
  readonly log: Log
  /** A test's file. */
  readonly read?: (path: string) => Promise<string>
}

export interface LimitsFile extends TenantSettings {
  stop(): Promise<void>
}

/** Without a path there is one answer for every tenant. */
export async function openLimitsFile(
  base: TenantLimits,
  path: string | undefined,
  { clock, log, read = readText }: LimitsFileDeps,
): Promise<LimitsFile> {
  if (path === undefined) return { ...composeSettings(base), stop: () => Promise.resolve() }
  let text = await read(path).catch((error: unknown) => {
    throw invalidArgument(`setting CINDER_LIMITS_FILE: ${path} cannot be read: ${String(error)}`, 'bad_setting')
  })
  let settings = composeSettings(base, [parseFile(text, path)])
  const stopping = new AbortController()
  let toldError = ''
  const watch = async () => {
    for (;;) {
      await clock.sleep(REREAD_MS, stopping.signal)
      if (stopping.signal.aborted) return
      let next = text
      try {
        next = await read(path)
        if (next === text) continue
        settings = composeSettings(base, [parseFile(next, path)])
        toldError = ''
        log.info('limits file read again', { path })
      } catch (error) {
        if (String(error) === toldError) continue
        toldError = String(error)
        log.error('limits file is wrong, the last good settings stay', { path, error: toldError })
      }
      text = next
    }
  }
  const watching = watch()
  return {
    limitsOf: (tenant) => settings.limitsOf(tenant),
    policyOf: (tenant) => settings.policyOf(tenant),
    async stop() {
      stopping.abort()
      await watching
    },
  }
}

const ports = { regex: createRegexCompiler(), captures: createCaptureCompiler() }

function parseFile(text: string, path: string): SettingsLayer {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw invalidArgument(`setting CINDER_LIMITS_FILE: ${path} is not JSON: ${String(error)}`, 'bad_setting')
  }
  try {
    const layer = parseSettingsLayer(json)
    for (const { ingest } of [layer.defaults, ...layer.tenants.values()]) {
      // Expressions are read when they are used; a wrong one must be found here.
      if (ingest !== undefined) compilePolicy(parsePolicy(ingest), ports)
    }
    return layer
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw invalidArgument(`setting CINDER_LIMITS_FILE: ${path}: ${why}`, 'bad_setting')
  }
}

async function readText(path: string): Promise<string> {
  const bytes = await readFile(path)
  if (bytes.length > FILE_BYTES_MAX) throw new Error(`${bytes.length} bytes, ${FILE_BYTES_MAX} are allowed`)
  return bytes.toString('utf8')
}
