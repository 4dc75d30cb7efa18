/**
 * One OTLP request, however it came: its profiles handed to the writer in one call (500 profiles wait for one flush), with
 * the dictionary that they share, and judged.
 *
 * 1. A profile that cannot be understood is refused with its reason, by the envelope here or by the writer, which reads its
 *    samples; the rest goes on.
 * 2. If any profile was refused for what a retry mends (a rate, a full writer), the whole request fails that way: the
 *    retry of the rest counts once.
 * 3. If nothing was stored and something refused, the request fails with the first reason. Else it succeeds, and says
 *    how many profiles were refused and why.
 */
import { type CinderError, invalidArgument, isRetryable } from '#core/errors.ts'
import { type OtlpEnvelope, openOtlp } from '#core/ingest/otlp/envelope.ts'
import { ENVELOPE_TABLES, readOtlpRequest } from '#core/ingest/otlp/request.ts'
import { formatOfLayout, LAYOUT_1_10 } from '#core/ingest/otlp/sample-layout.ts'
import type { OtlpAnswer } from '#platform/connect/otlp-message.ts'
import type { IngestForm, ProfileVerdict, WriteSeries } from '#core/rpc/segment-writer.ts'
import { errorOfVerdicts, kindOfVerdict } from './verdicts.ts'

export interface OtlpExportDeps {
  /** Verdicts in the order of the profiles. Throws if nothing can be accepted. */
  readonly write: (tenant: string, series: WriteSeries[], signal?: AbortSignal) => Promise<readonly ProfileVerdict[]>
  /** Notes an error that the tenant gets. */
  readonly refused: (tenant: string, error: CinderError) => void
  /** Of all copies of profiles whose samples are of several services. */
  readonly bytesMax: number
}

export interface OtlpBody {
  readonly tenant: string
  readonly bytes: Uint8Array
  /** From JSON, whose names leave no doubt. */
  readonly isNamed?: boolean
  /** Of the client, who may leave: what it sent is then not read to its end. */
  readonly signal?: AbortSignal
}

export async function exportOtlp(deps: OtlpExportDeps, body: OtlpBody): Promise<OtlpAnswer> {
  const { tenant, bytes, isNamed, signal } = body
  const request = readOtlpRequest(bytes, ENVELOPE_TABLES)
  const envelope = openOtlp(request, { bytesMax: deps.bytesMax, ...(isNamed === true && { layout: LAYOUT_1_10 }) })
  const ingest: IngestForm = {
    spyName: '',
    fromNanos: 0n,
    sampleTypeConfig: NO_BYTES,
    format: formatOfLayout(envelope.layout),
    dictionary: envelope.dictionary,
  }
  const series = envelope.profiles.map(({ labels, bytes: profile, id }) => ({
    labels: [...labels],
    profiles: [{ bytes: profile, clientId: id }],
    ingest,
  }))
  const verdicts = series.length === 0 ? [] : await deps.write(tenant, series, signal)
  return judge(deps, { tenant, envelope, verdicts })
}

const NO_BYTES = new Uint8Array(0)

/** Different reasons that are told of profiles that cannot be understood; the rest is counted. */
const REFUSALS_MAX = 8

interface Judged {
  readonly tenant: string
  readonly envelope: OtlpEnvelope
  /** Of the envelope's profiles. */
  readonly verdicts: readonly ProfileVerdict[]
}

function judge(deps: OtlpExportDeps, of: Judged): OtlpAnswer {
  const understood = of.verdicts.filter((verdict) => !isNotUnderstood(verdict))
  const rejected = understood.filter(({ status }) => status === 'rejected')
  const again = errorOfVerdicts(rejected.filter((verdict) => isRetryable(kindOfVerdict(verdict))))
  const error = again ?? errorOfVerdicts(rejected)
  if (error !== undefined && (again !== undefined || rejected.length === understood.length)) {
    deps.refused(of.tenant, error)
    throw error
  }
  const refused = refusalsOf(of)
  const messages = [...refused.messages, ...(error === undefined ? [] : [error.message])]
  if (understood.length === 0 && refused.count > 0) {
    const failed = invalidArgument(`failed to convert OTLP profiles: ${messages.join('\n')}`, 'otlp_profile')
    // Who has seen the profiles has counted them.
    if (of.verdicts.length > 0) deps.refused(of.tenant, failed)
    throw failed
  }
  return { rejectedProfiles: refused.count + rejected.length, errorMessage: messages.join('\n') }
}

/** Refused by the writer for what the envelope would refuse it for too, had it looked at samples. */
function isNotUnderstood({ status, reason }: ProfileVerdict): boolean {
  return status === 'rejected' && (reason.startsWith('otlp_') || reason === 'malformed_body')
}

/** In the order of the request, each reason once. */
function refusalsOf({ envelope, verdicts }: Judged): { readonly count: number; readonly messages: readonly string[] } {
  const refused = [
    ...envelope.refused.map(({ position, error }) => ({ position, message: error.message })),
    ...envelope.profiles.flatMap(({ position }, i) => {
      const verdict = verdicts[i]!
      return isNotUnderstood(verdict) ? [{ position, message: verdict.message }] : []
    }),
  ].sort((a, b) => a.position - b.position)
  const messages = [...new Set(refused.map(({ message }) => message))].slice(0, REFUSALS_MAX)
  return { count: new Set(refused.map(({ position }) => position)).size, messages }
}
