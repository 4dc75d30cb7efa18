/**
 * Statements that the planner takes for large, where a session could not be told at its start not to compile them.
 *
 * A server compiles (`jit`, on by default) what it expects to cost much. The commit of a compaction is judged by guesses
 * about arrays and costs milliseconds to run, and 7 to 60 s to compile. Connections of ours say `jit=off` when they
 * begin; behind a pooler they may not, so there the statement has a transaction in which it is said. Two more round trips.
 */
import type { Sql, SqlSession } from './client.ts'

export async function uncompiled<Result>(sql: Sql, run: (session: SqlSession) => Promise<Result>): Promise<Result> {
  if (!isBehindPooler(sql)) return await run(sql)
  return await beginUncompiled(sql, run)
}

/** A transaction of its own in any case. */
export async function beginUncompiled<Result>(sql: Sql, run: (tx: SqlSession) => Promise<Result>): Promise<Result> {
  return (await sql.begin(async (tx) => {
    if (isBehindPooler(sql)) await tx`set local jit = off`
    return await run(tx)
  })) as Result
}

/** Pools behind a pooler prepare nothing (client.ts). */
function isBehindPooler(sql: Sql): boolean {
  return !sql.options.prepare
}
