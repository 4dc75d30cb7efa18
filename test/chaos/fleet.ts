/**
 * Every service as the program that users run: 2 metastores, 3 writers, 8 workers, and a distributor, a query-frontend
 * and a query-backend, over one Postgres and one S3 bucket behind a proxy that fails a share of all requests. Members are
 * killed, frozen and started again at their old address; Postgres is stopped and started.
 */
import { join } from 'node:path'
import { createSql, type Sql } from '#db/client.ts'
import { migrate } from '#db/migrate.ts'
import { type EmbeddedPostgres, startPostgres } from '#platform/postgres/launcher.ts'
import { type FaultProxy, type ProxyFault, startFaultProxy } from '../support/fault-proxy.ts'
import { type Program, startProgram } from '../support/process.ts'
import { seededRandom } from '../support/profiles.ts'
import { cleanEnv, ROOT } from '../support/server-process.ts'
import { createSilentLog } from '../support/silent-log.ts'
import { type Balancer, startBalancer } from './balancer.ts'
import { pause } from './load.ts'

export const SIZES = { metastore: 2, 'segment-writer': 3, 'compaction-worker': 8 } as const
/** A loaded machine that starts thirteen programs at once. */
const START_MAX_MS = 60_000
/** What a slow answer of the store costs. */
const SLOW_STORE_MS = 1_500

export interface Member {
  readonly name: string
  readonly app: string
  readonly url: string
  readonly settings: Readonly<Record<string, string>>
  program: Program
  isFrozen: boolean
  /** Ended by us and not yet back. */
  isDown: boolean
}

export interface FleetOptions {
  readonly dataDir: string
  readonly seed: number
  /** An S3 server with its bucket and keys. */
  readonly s3: { readonly url: string; readonly bucket: string; readonly env: Readonly<Record<string, string>> }
}

export class Fleet {
  readonly members = new Map<string, Member>()
  readonly counts = { kills: 0, freezes: 0, postgresStops: 0, storeFaults: 0, storeRequests: 0, restartFailures: 0 }
  readonly #options: FleetOptions
  readonly #random: (below: number) => number
  #postgres!: EmbeddedPostgres
  #databaseDoor!: Balancer
  #proxy!: FaultProxy
  /** Of a thousand requests to the store. */
  faultsPerMille = 0

  constructor(options: FleetOptions) {
    this.#options = options
    this.#random = seededRandom(options.seed ^ 0x5f5f)
  }

  async start(): Promise<void> {
    const { s3 } = this.#options
    await this.#startPostgres()
    const sql = this.connect()
    await migrate(sql)
    await sql.end()
    this.#proxy = await startFaultProxy(s3.url)
    this.#proxy.decide = () => this.#decideFault()
    const storage = { ...s3.env, STORAGE_URL: `s3://${s3.bucket}/chaos?endpoint=${this.#proxy.url}` }
    const metastores = await this.#startAll('metastore', { DATABASE_URL: this.#databaseUrl() })
    const metastore = { METASTORE_URL: `http://127.0.0.1:${(await this.#balance(metastores)).port}` }
    const writers = await this.#startAll('segment-writer', { ...metastore, ...storage })
    await this.#startAll('compaction-worker', { ...metastore, ...storage })
    const tenants = { CINDER_MULTITENANCY: 'true' }
    const writer = { WRITER_URL: `http://127.0.0.1:${(await this.#balance(writers)).port}` }
    const backend = await this.#startMember('query-backend', 'query-backend', storage)
    await this.#startMember('distributor', 'distributor', { ...writer, ...tenants })
    const query = { ...metastore, ...tenants, QUERY_BACKEND_URL: backend.url }
    await this.#startMember('query-frontend', 'query-frontend', query)
  }

  /** Names of what waves kill: the edge and the backend keep no state and stay. */
  get killable(): string[] {
    return [...this.members.values()].filter(({ app }) => app in SIZES).map(({ name }) => name)
  }

  urlOf(name: string): string {
    return this.members.get(name)!.url
  }

  connect(): Sql {
    return createSql({ url: this.#databaseUrl(), maxConnections: 2 })
  }

  /** kill -9; back at the same address. What is frozen or down already is left alone. */
  async kill(name: string, backAfterMs: number): Promise<void> {
    const member = this.members.get(name)!
    if (member.isFrozen || member.isDown) return
    member.isDown = true
    this.counts.kills++
    member.program.kill('SIGKILL')
    await member.program.exited
    await pause(backAfterMs)
    await this.#restart(member)
  }

  /** SIGSTOP, and after a while SIGCONT: a worker that holds a job if there is one, any metastore. */
  async freeze(role: 'worker' | 'metastore', forMs: number): Promise<void> {
    const app = role === 'worker' ? 'compaction-worker' : role
    const up = () => [...this.members.values()].filter((each) => each.app === app && !each.isFrozen && !each.isDown)
    const holders = role === 'worker' ? await this.#jobHolders() : []
    const member = up().find(({ program }) => holders.some((holder) => holder.includes(`-${program.pid}`))) ?? up()[0]
    // All are down by an earlier event.
    if (member === undefined) return
    member.isFrozen = true
    this.counts.freezes++
    member.program.kill('SIGSTOP')
    await pause(forMs)
    member.program.kill('SIGCONT')
    member.isFrozen = false
  }

  async stopPostgres(forMs: number): Promise<void> {
    this.counts.postgresStops++
    this.#databaseDoor.retarget([])
    await this.#postgres.stop()
    await pause(forMs)
    await this.#startPostgres()
  }

  /** Worker ids, which end in a process id. Nobody, if the database does not say. */
  async #jobHolders(): Promise<string[]> {
    const sql = this.connect()
    try {
      return (await sql<{ holder: string }[]>`select holder from jobs where state = 'running'`).map(
        ({ holder }) => holder,
      )
    } catch {
      return []
    } finally {
      await sql.end()
    }
  }

  async stop(): Promise<void> {
    for (const { program } of this.members.values()) program.kill('SIGKILL')
    await Promise.all([...this.members.values()].map(({ program }) => program.exited))
    this.#databaseDoor.close()
    await this.#postgres.stop()
  }

  #databaseUrl(): string {
    const url = new URL(this.#postgres.url)
    url.port = String(this.#databaseDoor.port)
    return url.href
  }

  /** It may come back at another port: everybody knows the door. */
  async #startPostgres(): Promise<void> {
    const settings = { fsync: 'off', max_connections: '80' }
    const dataDir = join(this.#options.dataDir, 'postgres')
    this.#postgres = await startPostgres({ dataDir, log: createSilentLog(), settings })
    const port = Number(new URL(this.#postgres.url).port)
    if (this.#databaseDoor === undefined) this.#databaseDoor = await startBalancer([port])
    else this.#databaseDoor.retarget([port])
  }

  async #balance(members: readonly Member[]): Promise<Balancer> {
    return await startBalancer(members.map(({ url }) => Number(new URL(url).port)))
  }

  async #startAll(app: keyof typeof SIZES, settings: Readonly<Record<string, string>>): Promise<Member[]> {
    const names = Array.from({ length: SIZES[app] }, (_, i) => `${app} ${i + 1}`)
    return await Promise.all(names.map((name) => this.#startMember(name, app, settings)))
  }

  async #startMember(name: string, app: string, settings: Readonly<Record<string, string>>): Promise<Member> {
    const { program, url } = await this.#launch(app, settings)
    const fixed = { ...settings, PORT: new URL(url).port }
    const member = { name, app, url, settings: fixed, program, isFrozen: false, isDown: false }
    this.members.set(name, member)
    return member
  }

  async #launch(app: string, settings: Readonly<Record<string, string>>): Promise<{ program: Program; url: string }> {
    const main = join(ROOT, 'apps', app, 'main.ts')
    const program = startProgram({
      command: [process.execPath, main],
      cwd: this.#options.dataDir,
      env: cleanEnv(settings),
    })
    const ready = await program.waitFor(new RegExp(`"event":"${app} ready","url":"([^"]+)"`), START_MAX_MS)
    return { program, url: ready[1]! }
  }

  /** As an orchestrator does: again and again until it is ready, because its database or its store may be away. */
  async #restart(member: Member): Promise<void> {
    for (;;) {
      try {
        const { program } = await this.#launch(member.app, member.settings)
        member.program = program
        member.isDown = false
        return
      } catch {
        this.counts.restartFailures++
        await pause(500)
      }
    }
  }

  #decideFault(): ProxyFault | undefined {
    this.counts.storeRequests++
    if (this.#random(1000) >= this.faultsPerMille) return undefined
    this.counts.storeFaults++
    const faults: readonly ProxyFault[] = [
      { kind: 'status', status: 503, code: 'SlowDown' },
      { kind: 'status', status: 500, code: 'InternalError' },
      { kind: 'reset', when: 'before' },
      { kind: 'reset', when: 'after' },
      { kind: 'truncate' },
      { kind: 'corrupt-request' },
      { kind: 'delay', until: pause(SLOW_STORE_MS) },
    ]
    return faults[this.#random(faults.length)]
  }
}
