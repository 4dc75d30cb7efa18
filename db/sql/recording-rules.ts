/** Recording rules: read whole by tenant (a tenant has few), written one at a time under the lock of its tenant. */
import type { Rule } from '#core/rpc/recording-rules.ts'
import type { Sql, SqlSession } from '../client.ts'

interface Row {
  id: string
  metric_name: string
  profile_type: string
  matchers: string[]
  group_by: string[]
  external_labels: string[]
  function_name: string
  generation: number
}

const columnsOf = (sql: SqlSession) => sql`
  id, metric_name, profile_type, to_jsonb(matchers) as matchers, to_jsonb(group_by) as group_by,
  to_jsonb(external_labels) as external_labels, function_name, generation::float8 as generation`

export async function selectRules(sql: SqlSession, tenant: string): Promise<Rule[]> {
  const rows = await sql<Row[]>`
    select ${columnsOf(sql)} from recording_rules where tenant = ${tenant}::text order by id`
  return rows.map(toRule)
}

/** `conflict` and `full` write nothing. A generation of 0 asks for no certain one. */
export async function upsertRule(
  sql: Sql,
  { tenant, rule, rulesMax }: { readonly tenant: string; readonly rule: Rule; readonly rulesMax: number },
): Promise<{ readonly verdict: 'stored' | 'conflict' | 'full'; readonly rule?: Rule }> {
  const rules = await sql.begin(async (tx) => {
    // Two first rules at once must not both find room.
    await tx`select pg_advisory_xact_lock(hashtextextended(${`recording rules of ${tenant}`}::text, 0))`
    const before = await selectRules(tx, tenant)
    const known = before.find(({ id }) => id === rule.id)
    if (known !== undefined && rule.generation !== 0 && rule.generation !== known.generation) return known
    if (known === undefined && before.length >= rulesMax) return undefined
    return [toRule(await writeRule(tx, tenant, rule))] as const
  })
  if (rules === undefined) return { verdict: 'full' }
  if ('id' in rules) return { verdict: 'conflict', rule: rules }
  return { verdict: 'stored', rule: rules[0] }
}

async function writeRule(tx: SqlSession, tenant: string, rule: Rule): Promise<Row> {
  const labels = rule.externalLabels.flatMap(({ name, value }) => [name, value])
  const [row] = await tx<Row[]>`
    insert into recording_rules as r
      (tenant, id, metric_name, profile_type, matchers, group_by, external_labels, function_name)
    values (${tenant}::text, ${rule.id}::text, ${rule.metricName}::text, ${rule.profileType}::text,
      ${rule.matchers}::text[], ${rule.groupBy}::text[], ${labels}::text[], ${rule.functionName}::text)
    on conflict (tenant, id) do update set
      metric_name = excluded.metric_name, profile_type = excluded.profile_type, matchers = excluded.matchers,
      group_by = excluded.group_by, external_labels = excluded.external_labels, function_name = excluded.function_name,
      generation = r.generation + 1, changed_at = now()
    returning ${columnsOf(tx)}`
  return row!
}

export async function deleteRule(sql: SqlSession, tenant: string, id: string): Promise<boolean> {
  const rows = await sql`delete from recording_rules where tenant = ${tenant}::text and id = ${id}::text returning id`
  return rows.length === 1
}

function toRule(row: Row): Rule {
  const externalLabels: { name: string; value: string }[] = []
  for (let i = 0; i < row.external_labels.length; i += 2) {
    externalLabels.push({ name: row.external_labels[i]!, value: row.external_labels[i + 1]! })
  }
  return {
    id: row.id,
    metricName: row.metric_name,
    profileType: row.profile_type,
    matchers: row.matchers,
    groupBy: row.group_by,
    externalLabels,
    functionName: row.function_name,
    generation: row.generation,
  }
}
