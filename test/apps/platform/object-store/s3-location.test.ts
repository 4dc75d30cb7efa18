import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeS3, parseS3Url } from '#platform/object-store/s3-location.ts'

test('a bucket is enough', () => {
  assert.deepEqual(parseS3Url('s3://profiles', {}), {
    bucket: 'profiles',
    prefix: '',
    endpoint: undefined,
    region: undefined,
    isPathStyle: false,
    encryption: undefined,
  })
})

test('prefix, endpoint, region and encryption are read', () => {
  const location = parseS3Url(
    's3://Old.Bucket/a/b/?endpoint=http://127.0.0.1:9000&region=eu-west-3&sse=aws:kms&kmsKeyId=arn:aws:kms:x:key/1',
    {},
  )
  assert.equal(location.bucket, 'Old.Bucket')
  assert.equal(location.prefix, 'a/b')
  assert.equal(location.endpoint?.origin, 'http://127.0.0.1:9000')
  assert.equal(location.region, 'eu-west-3')
  assert.deepEqual(location.encryption, { kind: 'aws:kms', keyId: 'arn:aws:kms:x:key/1' })
  assert.equal(
    describeS3(location, 'eu-west-3'),
    's3://Old.Bucket/a/b at http://127.0.0.1:9000 (eu-west-3), encrypted by aws:kms',
  )
  assert.equal(describeS3(parseS3Url('s3://profiles', {}), 'eu-west-1'), 's3://profiles at AWS eu-west-1')
})

test('the bucket is in the path for endpoints and for names with dots, unless the URL says otherwise', () => {
  const isPathStyle = (url: string) => parseS3Url(url, {}).isPathStyle
  assert.equal(isPathStyle('s3://b-b?endpoint=https://s3.example.org'), true)
  assert.equal(isPathStyle('s3://b-b?endpoint=https://s3.example.org&pathStyle=false'), false)
  assert.equal(isPathStyle('s3://my.bucket'), true)
  assert.equal(isPathStyle('s3://my-bucket?pathStyle=true'), true)
})

test('the environment may name the endpoint, as for every AWS tool; the URL wins', () => {
  const origin = (url: string, env: Record<string, string>) => parseS3Url(url, env).endpoint?.origin
  const env = { AWS_ENDPOINT_URL: 'http://general:1', AWS_ENDPOINT_URL_S3: 'http://special:2' }
  assert.equal(origin('s3://bbb', env), 'http://special:2')
  assert.equal(origin('s3://bbb', { AWS_ENDPOINT_URL: 'http://general:1' }), 'http://general:1')
  assert.equal(origin('s3://bbb?endpoint=http://url:3', env), 'http://url:3')
})

test('what is wrong is named, and a secret is not repeated', () => {
  const cases: [string, RegExp][] = [
    ['s3://', /names the bucket ""/],
    ['s3://ab', /names the bucket "ab"/],
    ['s3://bucket/a b', /has the prefix/],
    ['s3://bucket/a//b', /has the prefix/],
    ['s3://bucket?colour=red', /has the parameter colour; allowed: endpoint, region, pathStyle, sse, kmsKeyId/],
    ['s3://bucket?endpoint=s3.example.org', /has the endpoint "s3.example.org"/],
    ['s3://bucket?endpoint=http://h/path', /has the endpoint/],
    ['s3://bucket?pathStyle=yes', /pathStyle=yes; allowed: true or false/],
    ['s3://bucket?sse=rot13', /sse=rot13; allowed: AES256, aws:kms/],
    ['s3://bucket?kmsKeyId=x', /kmsKeyId without sse=aws:kms/],
  ]
  for (const [url, message] of cases) assert.throws(() => parseS3Url(url, {}), message, url)
  assert.throws(
    () => parseS3Url('s3://AKIAKEY:verysecret@bucket', {}),
    (error: Error) => /holds credentials/.test(error.message) && !/verysecret|AKIAKEY/.test(error.message),
  )
})
