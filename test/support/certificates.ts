/** A certificate authority of one test, with certificates for 127.0.0.1, made by openssl in a directory of its own. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

export interface Authority {
  readonly caPath: string
  issue(name: string): { readonly certPath: string; readonly keyPath: string }
}

/** A reason to skip, or false: it is part of every Debian with `openssl` installed. */
export function absentOpenssl(): string | false {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return false
  } catch {
    return 'openssl is not installed'
  }
}

export function makeAuthority(): Authority {
  const dir = mkdtempSync(join(tmpdir(), 'cinder-ca-'))
  after(() => rmSync(dir, { recursive: true, force: true }))
  const run = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' })
  const makeKey = (name: string) => run('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${name}.key`)
  makeKey('ca')
  run('req', '-x509', '-new', '-key', 'ca.key', '-subj', '/CN=test authority', '-days', '2', '-out', 'ca.pem')
  writeFileSync(join(dir, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1')
  return {
    caPath: join(dir, 'ca.pem'),
    issue(name) {
      makeKey(name)
      run('req', '-new', '-key', `${name}.key`, '-subj', `/CN=${name}`, '-out', `${name}.csr`)
      const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names']
      run('x509', '-req', '-in', `${name}.csr`, ...signed, '-out', `${name}.pem`)
      return { certPath: join(dir, `${name}.pem`), keyPath: join(dir, `${name}.key`) }
    },
  }
}
