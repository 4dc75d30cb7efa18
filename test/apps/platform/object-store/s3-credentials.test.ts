/**
 * Keys are found as every AWS tool finds them: environment, profile, web identity; what expires is asked for anew. Each case
 * is a process of its own, since the SDK reads the environment once. The endpoint is a small S3 in this process.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { createClock } from '#platform/clock.ts'
import { openS3 } from '#platform/object-store/open-s3.ts'
import { startProgram } from '../../../support/process.ts'
import { errorAnswer, startFakeS3 } from '../../../support/servers/fake-s3.ts'

const base = await mkdtemp(join(tmpdir(), 'cinder-keys-'))
after(() => rm(base, { recursive: true, force: true }))
const fake = await startFakeS3()

const PUT_IN_ANOTHER_PROCESS = `
  import { createClock } from '#platform/clock.ts'
  import { openS3 } from '#platform/object-store/open-s3.ts'
  const run = async () => {
    const { store, describe } = await openS3(process.env.URL, { clock: createClock(), env: process.env })
    await store.put('k', new Uint8Array(1))
    console.log('done ' + describe)
  }
  await run().catch((error) => console.log('failed ' + error.kind + ' ' + error.message))`

/** What the process printed, and the credential and token of its last request. */
async function putWith(env: Record<string, string>, url = `s3://bucket?endpoint=${fake.url}`) {
  const program = startProgram({
    command: [process.execPath, '-e', PUT_IN_ANOTHER_PROCESS],
    cwd: resolve(import.meta.dirname, '../../../..'),
    env: { PATH: process.env.PATH, HOME: base, AWS_EC2_METADATA_DISABLED: 'true', URL: url, ...env },
  })
  await program.exited
  const headers = fake.requests.at(-1)?.headers
  return {
    output: program.output().trim(),
    credential: /Credential=([^,]+),/.exec(headers?.authorization ?? '')?.[1] ?? '',
    token: headers?.['x-amz-security-token'],
  }
}

test('keys and region of the environment, with a session token if there is one', async () => {
  const keys = { AWS_ACCESS_KEY_ID: 'AKENV', AWS_SECRET_ACCESS_KEY: 's', AWS_REGION: 'eu-env-1' }
  const plain = await putWith(keys)
  assert.match(plain.output, /^done s3:\/\/bucket at .* \(eu-env-1\)$/)
  assert.match(plain.credential, /^AKENV\/\d{8}\/eu-env-1\/s3\//)
  assert.equal(plain.token, undefined)
  const session = await putWith({ ...keys, AWS_SESSION_TOKEN: 'token-1' })
  assert.equal(session.token, 'token-1')
})

test('a profile names keys and region; the region of the URL wins', async () => {
  const credentials = join(base, 'credentials')
  const config = join(base, 'config')
  await writeFile(credentials, '[work]\naws_access_key_id = AKPROFILE\naws_secret_access_key = s\n')
  await writeFile(config, '[profile work]\nregion = eu-profile-1\n')
  const env = { AWS_PROFILE: 'work', AWS_SHARED_CREDENTIALS_FILE: credentials, AWS_CONFIG_FILE: config }
  assert.match((await putWith(env)).credential, /^AKPROFILE\/\d{8}\/eu-profile-1\/s3\//)
  const url = `s3://bucket?endpoint=${fake.url}&region=eu-url-1`
  assert.match((await putWith(env, url)).credential, /^AKPROFILE\/\d{8}\/eu-url-1\/s3\//)
})

test('a web identity token is exchanged for keys, as in a pod with a role', async () => {
  const asked: string[] = []
  const sts = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString('utf8')))
    request.on('end', () => {
      asked.push(body)
      const expiration = new Date(Date.now() + 3_600_000).toISOString()
      response.writeHead(200, { 'content-type': 'text/xml' })
      response.end(`<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
        <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AKWEB</AccessKeyId>
        <SecretAccessKey>s</SecretAccessKey><SessionToken>web-token</SessionToken>
        <Expiration>${expiration}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
        </AssumeRoleWithWebIdentityResponse>`)
    })
  })
  await new Promise<void>((done) => {
    sts.listen(0, '127.0.0.1', done)
  })
  after(() => sts.close())
  const tokenFile = join(base, 'token')
  await writeFile(tokenFile, 'signed-by-the-cluster')
  const { output, credential, token } = await putWith({
    AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile,
    AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/cinder',
    AWS_REGION: 'eu-web-1',
    AWS_ENDPOINT_URL_STS: `http://127.0.0.1:${(sts.address() as AddressInfo).port}`,
  })
  assert.match(output, /^done/)
  assert.equal(asked.length, 1, 'once, for every request')
  assert.match(asked[0]!, /Action=AssumeRoleWithWebIdentity.*signed-by-the-cluster/)
  assert.match(credential, /^AKWEB\//)
  assert.equal(token, 'web-token')
})

test('no keys, no region: one sentence each', async () => {
  const none = await putWith({ AWS_REGION: 'eu-x-1' })
  assert.match(none.output, /^failed unauthenticated no credentials for S3: /)
  const keys = { AWS_ACCESS_KEY_ID: 'AKENV', AWS_SECRET_ACCESS_KEY: 's' }
  const noRegion = await putWith(keys, 's3://bucket')
  assert.match(noRegion.output, /^failed invalid_argument STORAGE_URL names no region, .* add \?region=$/)
})

test('keys that the server calls expired are asked for anew, once', async () => {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKENV', AWS_SECRET_ACCESS_KEY: 's' })
  const { store } = await openS3(`s3://bucket/expired?endpoint=${fake.url}`, { clock: createClock(), env: {} })
  let refusals = 1
  fake.intercept = () => (refusals-- > 0 ? errorAnswer(400, 'ExpiredToken') : undefined)
  await store.put('k', new Uint8Array(1))
  refusals = 2
  await assert.rejects(store.put('k', new Uint8Array(1)), /ExpiredToken/)
  fake.intercept = undefined
})
