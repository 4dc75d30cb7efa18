/**
 * A segment-writer whose verdicts are counted by service and minute (core/ingest/push-counts.ts), beside the push: what is
 * counted is known when the answer is, and nothing of it is awaited.
 */
import { CinderError } from '#core/errors.ts'
import { parseAppType } from '#core/ingest/app-type.ts'
import { LABEL_REPAIRS, type LabelRepair, labelRepairs } from '#core/ingest/label-repairs.ts'
import type { PushCounts, PushNote } from '#core/ingest/push-counts.ts'
import { getLabel, LABEL_SERVICE_NAME } from '#core/labels/labels.ts'
import { withServiceName } from '#core/pprof/service-name.ts'
import type { ProfileVerdict, SegmentWriter, WriteRequest, WriteResponse } from '#core/rpc/segment-writer.ts'

/** Reasons of what is stored all the same, in words. */
const REPAIRS: Readonly<Record<string, string>> = {
  clock_repaired:
    'its time was in 1970, or further ahead than rejectNewerThan: it is stored under the time of its arrival, or of its request',
}

const OUTCOMES: Readonly<Record<string, string>> = { rejected: 'refused' }

export function explainPushes(inner: SegmentWriter, counts: PushCounts, clock: { nowMs(): number }): SegmentWriter {
  return {
    async write(...call) {
      const sent = sentProfiles(call[0])
      const { tenant } = call[0]
      const note = (at: SentProfile, rest: Omit<PushNote, 'tenant' | 'service' | 'nowMs' | 'bytes'>, nowMs: number) =>
        counts.note({ tenant, service: at.service, nowMs, bytes: at.sizeBytes, ...rest })
      try {
        const answer = await inner.write(...call)
        const nowMs = clock.nowMs()
        // Text may hold several profiles a body: then sizes are of the first, and services as sent.
        answer.verdicts.forEach((verdict, i) => {
          const at = sent[i] ?? { ...(sent.at(-1) ?? NOBODY), sizeBytes: 0 }
          for (const noted of notesOf(verdict, at)) note(at, noted, nowMs)
        })
        return withoutChanges(answer)
      } catch (error) {
        const noted = noteOf(error)
        const nowMs = clock.nowMs()
        for (const at of sent) note(at, noted, nowMs)
        throw error
      }
    },
  }
}

/** They are counted, and nobody behind this reads them: an answer for 100,000 profiles would have a sentence for each. */
function withoutChanges(answer: WriteResponse): WriteResponse {
  if (!answer.verdicts.some(({ changes }) => changes !== undefined && changes.length > 0)) return answer
  return { ...answer, verdicts: answer.verdicts.map(({ changes: _told, ...verdict }) => verdict) }
}

interface SentProfile {
  readonly service: string
  readonly repairs: readonly LabelRepair[]
  readonly sizeBytes: number
}

const NOBODY: SentProfile = { service: '', repairs: [], sizeBytes: 0 }

/** Before the call: the bytes may be freed with the answer. */
function sentProfiles({ series }: WriteRequest): SentProfile[] {
  return series.flatMap(({ labels, ingest, profiles }) => {
    const named = getLabel(labels, LABEL_SERVICE_NAME) || serviceOfApp(ingest?.app)
    const isNamed = named !== ''
    const service = isNamed ? named : getLabel(withServiceName(labels), LABEL_SERVICE_NAME)
    const repairs = labelRepairs(labels)
    if (!isNamed) repairs.unshift('service_name_added')
    return profiles.map(({ bytes }) => ({ service, repairs, sizeBytes: bytes.length }))
  })
}

/** Of stacks in text, whose service is the application without its suffix. */
function serviceOfApp(app: string | undefined): string {
  if (app === undefined) return ''
  const named = parseAppType(app)
  return named.ok ? named.app.service : app
}

type Noted = Omit<PushNote, 'tenant' | 'service' | 'nowMs' | 'bytes'>

function notesOf(verdict: ProfileVerdict, { repairs }: SentProfile): Noted[] {
  const { status, reason, message, decompressedBytes, changes = [] } = verdict
  const outcome = OUTCOMES[status] ?? status
  const isStored = outcome === 'stored'
  const note = { outcome, reason: isStored ? '' : reason, decompressedBytes, message }
  if (!isStored || (repairs.length === 0 && reason === '' && changes.length === 0)) return [note]
  const repaired = { ...note, outcome: 'repaired' }
  const known: Noted[] = repairs.map((repair) => ({ ...repaired, reason: repair, message: LABEL_REPAIRS[repair] }))
  const notes = [...known, ...changes.map((change) => ({ ...repaired, ...change }))]
  return [note, ...notes, ...(reason === '' ? [] : [{ ...repaired, reason, message: REPAIRS[reason] ?? message }])]
}

function noteOf(error: unknown): Noted {
  const decompressedBytes = 0
  if (!(error instanceof CinderError))
    return { outcome: 'refused', reason: 'internal', decompressedBytes, message: 'a fault of this server; see its log' }
  const { reason, message, outcome } = error
  return { outcome: outcome === 'unknown' ? 'unknown' : 'refused', reason, decompressedBytes, message }
}
