/** A writer's lease. Its epoch grows when the registration lapsed or moved to another address: a new incarnation. */
import type { RegisterWriterRequest } from '#core/rpc/metastore.ts'
import type { SqlSession } from '../client.ts'

export async function registerWriter(sql: SqlSession, request: RegisterWriterRequest): Promise<number> {
  const [row] = await sql<{ epoch: number }[]>`
    insert into writers as w (writer_id, address, epoch, expires_at)
    values (${request.writerId}, ${request.address}, 1, now() + ${request.ttlMs}::float8 * interval '1 millisecond')
    on conflict (writer_id) do update set
      epoch = case when w.expires_at > now() and w.address = excluded.address then w.epoch else w.epoch + 1 end,
      address = excluded.address,
      expires_at = excluded.expires_at
    returning epoch`
  return row!.epoch
}
