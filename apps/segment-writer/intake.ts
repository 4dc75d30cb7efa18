/**
 * Takes one pushed profile in: bytes to rows of a head, or a verdict why not. Synchronous and without I/O.
 *
 * Order (wire contract, section 4): inflate, tenant's rate, decode, name (`/ingest`), service name, validate, label
 * check, split, append. The identity is taken from the bytes and labels as sent, before any of them is changed.
 */
import { CinderError, type ErrorKind } from '#core/errors.ts'
import { ingestLabels } from '#core/ingest/profile-name.ts'
import { buildLabels, getLabel, LABEL_SERVICE_NAME, type Labels } from '#core/labels/labels.ts'
import type { TenantLimits } from '#core/limits/limits.ts'
import { validateLabels } from '#core/limits/validate-labels.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { Digest } from '#core/ports/digest.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
import { splitProfile } from '#core/pprof/split.ts'
import { validateProfile } from '#core/pprof/validate.ts'
import type { ProfileVerdict, WriteProfile, WriteSeries } from '#core/rpc/segment-writer.ts'
import { positionalProfileId, profileIdOf } from '#core/segment/profile-id.ts'
import { hourStartMs, MS_PER_HOUR } from '#core/units.ts'
import type { Batch, Settlement } from './batch.ts'
