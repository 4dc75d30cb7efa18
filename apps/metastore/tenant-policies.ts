/** Ingest policies of tenants over Postgres: each is checked and compiled as one of a file is, before it is a row. */
import { CinderError, invalidArgument } from '#core/errors.ts'
import { compilePolicy, parsePolicy } from '#core/ingest/policy.ts'
import type { TenantPolicies } from '#core/rpc/tenant-policies.ts'
import type { Sql } from '#db/client.ts'
import { withSqlErrors } from '#db/errors.ts'
import { insertPolicy, POLICY_TENANTS_MAX, selectPolicies, selectPolicyHistory } from '#db/sql/tenant-policies.ts'
import { createCaptureCompiler } from '#platform/captures.ts'
import { createRegexCompiler } from '#platform/regex.ts'

/** As for the header. */
const TENANT_CHARS_MAX = 150
/** A hundred rules of relabelling with long expressions; every writer holds all policies. */
const POLICY_CHARS_MAX = 65_536

export function createTenantPolicies({ sql }: { readonly sql: Sql }): TenantPolicies {
  const ports = { regex: createRegexCompiler(), captures: createCaptureCompiler() }
  return {
    async listPolicies({ generation: known }) {
      const { generation, tenants } = await withSqlErrors('list policies', () => selectPolicies(sql, known))
      return { generation, changed: generation !== known, tenants }
    },
    async setPolicy({ tenant, policy: text, expectedVersion }) {
      checkTenant(tenant)
      if (text.length > POLICY_CHARS_MAX)
        throw invalidArgument(
          `the policy has ${text.length} characters, ${POLICY_CHARS_MAX} are allowed`,
          'policy_size',
        )
      const json = text === '' ? undefined : readJson(text)
      // Expressions are read when they are used; a wrong one must be found here.
      if (json !== undefined) compilePolicy(parsePolicy(json), ports)
      const policy = json === undefined ? '' : JSON.stringify(json)
      const change = await withSqlErrors('set policy', () => insertPolicy(sql, { tenant, policy, expectedVersion }))
      switch (change.kind) {
        case 'changed':
          return { version: change.version }
        case 'moved':
          throw new CinderError(
            'failed_precondition',
            `the policy of tenant ${tenant} has version ${change.version}, not ${expectedVersion}: look at it and change it again`,
            { reason: 'policy_moved' },
          )
        case 'full':
          throw new CinderError(
            'resource_exhausted',
            `${change.tenants} tenants have policies of their own, ${POLICY_TENANTS_MAX} are allowed`,
            { reason: 'tenants' },
          )
      }
    },
    async policyHistory({ tenant }) {
      checkTenant(tenant)
      return { versions: await withSqlErrors('history of a policy', () => selectPolicyHistory(sql, tenant)) }
    },
  }
}

function checkTenant(tenant: string): void {
  if (tenant === '' || tenant.length > TENANT_CHARS_MAX || tenant.includes('\0'))
    throw invalidArgument(`a tenant has 1 to ${TENANT_CHARS_MAX} characters`, 'tenant_id')
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalidArgument(`the policy is not JSON: ${String(error)}`, 'invalid_ingest_policy')
  }
}
