/** Push, compact and query on local files, as `npm start` keeps them. On S3: test/e2e-s3. */
import { runPushCompactQuery } from '../contract/push-compact-query.ts'

runPushCompactQuery('local files', async () => undefined)
