/** Recording rules by Connect, both sides. */
import type { Hono } from 'hono'
import { invalidArgument } from '#core/errors.ts'
import type { RecordingRules } from '#core/rpc/recording-rules.ts'
import { RuleService } from '../gen/cinder/v1/recording_rules_pb.ts'
import { type ConnectClientOptions, createUnaryCall } from './client.ts'
import { mountService } from './server.ts'
import type { InternalServerOptions } from './services.ts'

export function createRulesClient(url: string, options?: ConnectClientOptions): RecordingRules {
  const call = createUnaryCall(url, options)
  const { method } = RuleService
  return {
    listRules: (request) => call(method.listRules, request),
    upsertRule: (request) => call(method.upsertRule, request),
    deleteRule: (request) => call(method.deleteRule, request),
  }
}

export function mountRules(app: Hono, rules: RecordingRules, options: InternalServerOptions): void {
  mountService(
    app,
    RuleService,
    {
      listRules: (request) => rules.listRules(request),
      upsertRule({ tenant, rule, rulesMax }) {
        if (rule === undefined) throw invalidArgument('the request has no rule')
        return rules.upsertRule({ tenant, rule, rulesMax })
      },
      deleteRule: (request) => rules.deleteRule(request),
    },
    { ...options, errorDetails: true },
  )
}
