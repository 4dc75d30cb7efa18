/**
 * Recording rules as the metastore keeps them. Shapes equal the messages of
 * `apps/platform/proto/cinder/v1/recording_rules.proto`. What a rule may be is decided before (core/query/recording-rule.ts).
 */
import type { LabelPair } from '../labels/labels.ts'

export interface Rule {
  id: string
  metricName: string
  profileType: string
  /** Selectors, ANDed. */
  matchers: string[]
  groupBy: string[]
  externalLabels: LabelPair[]
  /** Empty: totals of whole profiles. */
  functionName: string
  /** Grows with every change, from 1. */
  generation: number
}

export interface ListRulesRequest {
  tenant: string
}

export interface ListRulesResponse {
  /** By id. */
  rules: Rule[]
}

export interface UpsertRuleRequest {
  tenant: string
  /** An id that is not there yet makes a new rule; an empty one is drawn. Generation 0 changes whatever is there. */
  rule: Rule
  /** New rules past it are refused. */
  rulesMax: number
}

export interface UpsertRuleResponse {
  /** `stored`; `conflict`: the rule has another generation; `full`. */
  verdict: string
  /** As it is now; absent where there is none. */
  rule?: Rule | undefined
}

export interface DeleteRuleRequest {
  tenant: string
  id: string
}

export interface DeleteRuleResponse {
  found: boolean
}

export interface RecordingRules {
  listRules(request: ListRulesRequest): Promise<ListRulesResponse>
  upsertRule(request: UpsertRuleRequest): Promise<UpsertRuleResponse>
  deleteRule(request: DeleteRuleRequest): Promise<DeleteRuleResponse>
}
