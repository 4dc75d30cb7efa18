/**
 * A decoded pprof as columns. Strings stay byte ranges of the raw message: nothing is decoded to JavaScript strings
 * but what a label or a type needs. Column arrays may be longer than their count: they are pooled by the decoder and
 * borrowed until its next call (`decode` returns a view, never an owner).
 */
import type { Int64Column } from '../wire/int64.ts'

export interface DecodedProfile {
  /** The whole uncompressed message. */
  readonly raw: Uint8Array

  /**
   * Where the bytes of all mappings, locations, functions and strings lie in `raw`: start and end of each run. Equal bytes
   * in equal order make equal tables. Empty if the runs are many, or the tables were repaired or cut.
   */
  readonly tableRuns: readonly number[]

  /** String i is raw[stringStart[i], stringStart[i] + stringLength[i]). */
  readonly stringCount: number
  readonly stringStart: Uint32Array
  readonly stringLength: Uint32Array

  readonly sampleTypes: readonly { readonly type: number; readonly unit: number }[]
  readonly periodType: { readonly type: number; readonly unit: number } | undefined
  readonly period: bigint
  readonly timeNanos: bigint
  readonly durationNanos: bigint
  readonly defaultSampleType: number
  readonly dropFrames: number
  readonly keepFrames: number
  readonly comments: readonly number[]

  /** Message order. Ids are resolved: `functionIndexById` maps wire ids to rows. */
  readonly functionCount: number
  readonly functionName: Uint32Array
  readonly functionSystemName: Uint32Array
  readonly functionFilename: Uint32Array
  readonly functionStartLine: Int64Column

  readonly mappingCount: number
  readonly mappingStart: Int64Column
  readonly mappingLimit: Int64Column
  readonly mappingOffset: Int64Column
  readonly mappingFilename: Uint32Array
  readonly mappingBuildId: Uint32Array
  /** Bits: 1 functions, 2 filenames, 4 line numbers, 8 inline frames. */
  readonly mappingFlags: Uint8Array

  /** Rows; `locationMapping` is a mapping row or `NO_ROW` (mapping id 0 or dangling). */
  readonly locationCount: number
  readonly locationMapping: Uint32Array
  readonly locationAddress: Int64Column
  readonly locationFolded: Uint8Array
  /** Lines of location i: [locationLineStart[i], locationLineStart[i + 1]), innermost (inlined) first as in the message. */
  readonly locationLineStart: Uint32Array
  /** Function row, or `NO_ROW` for a dangling function id (id 0 is an error of validation: `zeroFunctionIds` counts them). */
  readonly lineFunction: Uint32Array
  readonly lineNumber: Int64Column
  readonly zeroFunctionIds: number

  readonly sampleCount: number
  /** Location rows of sample i, leaf first: [sampleLocationStart[i], sampleLocationStart[i + 1]). `NO_ROW` = id 0 or dangling. */
  readonly sampleLocationStart: Uint32Array
  readonly sampleLocation: Uint32Array
  /** Values of sample i: [i * sampleTypes.length, …). Only meaningful if `valueCountMismatches` is 0. */
  readonly sampleValue: Int64Column
  /** Samples whose value count differs from the number of sample types. */
  readonly valueCountMismatches: number
  /** Labels of sample i: [sampleLabelStart[i], sampleLabelStart[i + 1]). */
  readonly sampleLabelStart: Uint32Array
  readonly labelKey: Uint32Array
  /** String index; 0 for a numeric label. */
  readonly labelString: Uint32Array
  readonly labelNumber: Int64Column
  readonly labelUnit: Uint32Array
  /** Largest number of labels and of locations of one sample. */
  readonly sampleLabelsMax: number
  readonly sampleDepthMax: number
}

export const NO_ROW = 0xffffffff

/** Why bytes are not a profile that we can store. `reason` is Pyroscope's name of the class. */
export interface ProfileFault {
  readonly reason:
    | 'malformed_profile'
    | 'profile_size_limit'
    | 'samples_limit'
    | 'sample_labels_limit'
    | 'not_in_ingestion_window'
  readonly message: string
}
