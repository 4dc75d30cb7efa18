/** Recording rules for their tenants: checked here, kept by the metastore. A change names the generation it was made of. */
import { CinderError } from '#core/errors.ts'
import { checkRule, RULES_PER_TENANT_MAX } from '#core/query/recording-rule.ts'
import type { RecordingRules, Rule } from '#core/rpc/recording-rules.ts'
import type { Hono } from 'hono'
import { type ConnectServerOptions, mountService, type tenantsOf } from '#platform/connect/server.ts'
import { RecordingRulesService } from '#platform/gen/settings/v1/recording_rules_pb.ts'
import { type RequestContext, singleTenantOf } from './request.ts'

export interface RulesDeps {
  /** Absent: this process cannot reach them. */
  readonly rules?: RecordingRules | undefined
}

type CallContext = Parameters<typeof tenantsOf>[0]

export function mountRecordingRules(
  app: Hono,
  deps: RulesDeps,
  options: ConnectServerOptions,
  contextOf: (call: CallContext) => RequestContext,
): void {
  mountService(
    app,
    RecordingRulesService,
    {
      async listRecordingRules(_, call) {
        const { rules } = await rulesOf(deps).listRules({ tenant: singleTenantOf(contextOf(call).tenants) })
        return { rules: rules.map(toMessage) }
      },
      async getRecordingRule({ id }, call) {
        const { rules } = await rulesOf(deps).listRules({ tenant: singleTenantOf(contextOf(call).tenants) })
        const rule = rules.find((each) => each.id === id)
        if (rule === undefined) throw unknownRule(id)
        return { rule: toMessage(rule) }
      },
      async upsertRecordingRule({ stacktraceFilter, generation, ...fields }, call) {
        const context = contextOf(call)
        const tenant = singleTenantOf(context.tenants)
        const functionName = stacktraceFilter?.functionName?.functionName ?? ''
        const rule = checkRule({ ...fields, functionName, generation: Number(generation) }, context.regex)
        return { rule: toMessage(await storeRule(rulesOf(deps), tenant, rule)) }
      },
      async deleteRecordingRule({ id }, call) {
        const { found } = await rulesOf(deps).deleteRule({ tenant: singleTenantOf(contextOf(call).tenants), id })
        if (!found) throw unknownRule(id)
        return {}
      },
    },
    options,
  )
}

async function storeRule(rules: RecordingRules, tenant: string, rule: Rule): Promise<Rule> {
  const stored = await rules.upsertRule({ tenant, rule, rulesMax: RULES_PER_TENANT_MAX })
  if (stored.verdict === 'stored' && stored.rule !== undefined) return stored.rule
  if (stored.verdict === 'full') {
    const message = `tenant ${tenant} has ${RULES_PER_TENANT_MAX} recording rules, the limit: delete one first`
    throw new CinderError('resource_exhausted', message, { reason: 'recording_rules' })
  }
  const now = stored.rule?.generation ?? 0
  const message = `recording rule ${rule.id} has generation ${now}, the change was made of ${rule.generation}: read it again`
  throw new CinderError('already_exists', message, { reason: 'recording_rule_generation' })
}

function toMessage({ functionName, generation, ...rule }: Rule) {
  const filter = functionName === '' ? {} : { stacktraceFilter: { functionName: { functionName } } }
  return { ...rule, ...filter, generation: BigInt(generation) }
}

function unknownRule(id: string): CinderError {
  return new CinderError('not_found', `there is no recording rule ${JSON.stringify(id.slice(0, 64))}`)
}

function rulesOf({ rules }: RulesDeps): RecordingRules {
  if (rules !== undefined) return rules
  throw new CinderError('unimplemented', 'recording rules cannot be kept by this server', { reason: 'no_rules' })
}
