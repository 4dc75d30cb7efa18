/**
 * One OTLP request, however it came: converted, handed to the writer in one call (500 profiles wait for one flush), and
 * judged.
 *
 * 1. Conversion refuses single profiles with their reason; the rest goes on.
 * 2. If any profile was refused for what a retry mends (a rate, a full writer), the whole request fails that way: the
 *    retry of the rest counts once.
 * 3. If nothing was stored and something refused, the request fails with the first reason. Else it succeeds, and says
 *    how many profiles were refused and why.
 */
import { type CinderError, invalidArgument, isRetryable } from '#core/errors.ts'
import { convertOtlp, type OtlpConversion } from '#core/ingest/otlp/convert.ts'
import { readOtlpRequest } from '#core/ingest/otlp/request.ts'
import { LAYOUT_1_10 } from '#core/ingest/otlp/sample-layout.ts'
import type { OtlpAnswer } from '#platform/connect/otlp-message.ts'
import type { ProfileVerdict, WriteSeries } from '#core/rpc/segment-writer.ts'
import { errorOfVerdicts, kindOfVerdict } from './verdicts.ts'

export interface OtlpExportDeps {
  /** Verdicts in the order of the profiles. Throws if nothing can be accepted. */
  readonly write: (tenant: string, series: WriteSeries[]) => Promise<readonly ProfileVerdict[]>
  /** Notes an error that the tenant gets. */
  readonly refused: (tenant: string, error: CinderError) => void
  /** Of all profiles of a request as pprof. */
  readonly bytesMax: number
}

export interface OtlpBody {
  readonly tenant: string
  readonly bytes: Uint8Array
  /** From JSON, whose names leave no doubt. */
  readonly isNamed?: boolean
}

export async function exportOtlp(deps: OtlpExportDeps, { tenant, bytes, isNamed }: OtlpBody): Promise<OtlpAnswer> {
  const request = readOtlpRequest(bytes)
  const converted = convertOtlp(request, { bytesMax: deps.bytesMax, ...(isNamed === true && { layout: LAYOUT_1_10 }) })
  const series = converted.profiles.map(({ labels, bytes: pprof, id }) => ({
    labels: [...labels],
    profiles: [{ bytes: pprof, clientId: id }],
  }))
  const verdicts = series.length === 0 ? [] : await deps.write(tenant, series)
  return judge(deps, { tenant, converted, verdicts })
}

function judge(
  deps: OtlpExportDeps,
  of: { tenant: string; converted: OtlpConversion; verdicts: readonly ProfileVerdict[] },
): OtlpAnswer {
  const { converted, verdicts } = of
  const rejected = verdicts.filter(({ status }) => status === 'rejected')
  const again = errorOfVerdicts(rejected.filter((verdict) => isRetryable(kindOfVerdict(verdict))))
  const error = again ?? errorOfVerdicts(rejected)
  if (error !== undefined && (again !== undefined || rejected.length === verdicts.length)) {
    deps.refused(of.tenant, error)
    throw error
  }
  const messages = [...converted.refusals, ...(error === undefined ? [] : [error.message])]
  if (verdicts.length === 0 && converted.refusedCount > 0) {
    throw invalidArgument(`failed to convert OTLP profiles: ${messages.join('\n')}`, 'otlp_profile')
  }
  return { rejectedProfiles: converted.refusedCount + rejected.length, errorMessage: messages.join('\n') }
}
