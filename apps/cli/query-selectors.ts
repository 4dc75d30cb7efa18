/** Flags that choose samples of the selected series: by profile, span, trace and place in the stack. */
import { type Arguments, type FlagSpec, usageError } from './arguments.ts'

export const SAMPLE_FLAGS = {
  profile: { value: 'ID', about: 'only this profile, a UUID as exemplars show it', repeats: true },
  span: { value: 'ID', about: 'only samples of this span, 16 hex digits', repeats: true },
  trace: { value: 'ID', about: 'only samples of this trace, 32 hex digits', repeats: true },
  'call-site': { value: 'FUNCTION', about: 'only stacks that begin with these, from the root', repeats: true },
} as const satisfies Record<string, FlagSpec>

export interface SampleFields {
  readonly profileIdSelector: string[]
  readonly spanSelector: string[]
  readonly traceIdSelector: string[]
  readonly stackTraceSelector?: { readonly callSite: { readonly name: string }[] }
}

/** Of a request; fields that are not asked for are left out, for servers that do not know them. */
export function sampleFields(args: Arguments): Partial<SampleFields> {
  const [profiles, spans, traces] = ['profile', 'span', 'trace'].map((flag) => [...args.all(flag)])
  if (spans!.length > 0 && traces!.length > 0) throw usageError('flags --span and --trace exclude each other')
  return {
    ...(profiles!.length === 0 ? {} : { profileIdSelector: profiles! }),
    ...(spans!.length === 0 ? {} : { spanSelector: spans! }),
    ...(traces!.length === 0 ? {} : { traceIdSelector: traces! }),
    ...callSiteField(args),
  }
}

export function callSiteField(args: Arguments): Pick<Partial<SampleFields>, 'stackTraceSelector'> {
  const names = args.all('call-site')
  return names.length === 0 ? {} : { stackTraceSelector: { callSite: names.map((name) => ({ name })) } }
}
