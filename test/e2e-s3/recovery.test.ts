/** The database is lost, the bucket is a real S3: Ceph's radosgw (test/support/servers/radosgw.ts). */
import { openStore } from '#platform/object-store/open-store.ts'
import { recoveryContract } from '../contract/metastore-recovery.ts'
import { radosgwAbsent, startRadosgw } from '../support/servers/radosgw.ts'

const absent = radosgwAbsent()

if (absent === false) await runAll()
else console.log(`skipped: recovery on a real S3: ${absent}`)

async function runAll(): Promise<void> {
  const { url, env, makeBucket } = await startRadosgw()
  const bucket = await makeBucket()
  Object.assign(process.env, env)
  let prefixes = 0
  recoveryContract('S3, radosgw', async () => {
    const { patientStore } = await openStore(`s3://${bucket}/p${++prefixes}?endpoint=${url}`, { env })
    return patientStore
  })
}
