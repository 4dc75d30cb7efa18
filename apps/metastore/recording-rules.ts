/** Recording rules over Postgres: stored and given back, with generations against lost changes. Nothing evaluates them. */
import type { Random } from '#core/ports/random.ts'
import type { RecordingRules } from '#core/rpc/recording-rules.ts'
import type { Sql } from '#db/client.ts'
import { withSqlErrors } from '#db/errors.ts'
import { deleteRule, selectRules, upsertRule } from '#db/sql/recording-rules.ts'

export interface RecordingRulesDeps {
  readonly sql: Sql
  readonly random: Random
}

/** 26^10: two of a tenant's few rules never meet. */
const ID_LETTERS = 10

export function createRecordingRules({ sql, random }: RecordingRulesDeps): RecordingRules {
  return {
    async listRules({ tenant }) {
      return { rules: await withSqlErrors('list recording rules', () => selectRules(sql, tenant)) }
    },
    upsertRule({ tenant, rule, rulesMax }) {
      const id = rule.id === '' ? drawId(random) : rule.id
      return withSqlErrors('upsert recording rule', () => upsertRule(sql, { tenant, rule: { ...rule, id }, rulesMax }))
    },
    async deleteRule({ tenant, id }) {
      return { found: await withSqlErrors('delete recording rule', () => deleteRule(sql, tenant, id)) }
    },
  }
}

function drawId(random: Random): string {
  return Array.from(random.bytes(ID_LETTERS), (byte) => String.fromCharCode(97 + (byte % 26))).join('')
}
