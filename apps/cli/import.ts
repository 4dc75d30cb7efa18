/**
 * `cinder import`: old profiles from files and folders, past the limit of age, each exactly once however often it runs.
 *
 * 1. Files are read one after the other; each is a profile with its own time and an id that follows from its bytes, its
 *    labels and its place in the files.
 * 2. What an earlier run finished is passed over; what it left open is sent again or asked about (import-state.ts).
 * 3. Batches go to a segment-writer, whose answer is one verdict per profile. What a retry mends waits and is sent again; once
 *    the server may have forgotten its id it is asked about first.
 *
 * It is an operator's right: the call is one of our own services, and needs their token where there is one.
 */
import { CinderError, isRetryable } from '#core/errors.ts'
import type { ErrorKind } from '#core/errors.ts'
import { labelsKey } from '#core/labels/labels.ts'
import type { ProfileVerdict, WriteSeries } from '#core/rpc/segment-writer.ts'
import { MIB, MS_PER_SECOND } from '#core/units.ts'
import { createCodec } from '#platform/codec.ts'
import { decodeWriteResponse, encodeWriteRequest } from '#platform/connect/write-message.ts'
import { createDigest } from '#platform/digest.ts'
import { type Arguments, type CommandSpec, labelArgument } from './arguments.ts'
import { begunLine, doneLine, type ImportState, isRemembered, nextStep, parseState } from './import-state.ts'
import { type PreparedPush, preparePush, type PushOptions } from './push-request.ts'
import { formatCount } from './quantity.ts'
import { SERVER_FLAGS, type Server, serverOf, UNREACHABLE } from './server.ts'
import { EXIT, type ExitCode, paintFor, printable, type Shell } from './shell.ts'
import { isStored } from './stored-profile.ts'

const PATHS_MAX = 10_000
/** A request of one flush; what is larger goes alone. */
const BATCH_PROFILES_MAX = 64
const BATCH_BYTES_MAX = 8 * MIB
/** Of one batch that is refused for now: with waits that double up to half a minute, thirteen minutes of an outage. */
const ATTEMPTS_MAX = 30
const WAIT_MIN_MS = MS_PER_SECOND
const WAIT_MAX_MS = 30 * MS_PER_SECOND
/** Faults; files of one are counted and two of them named. */
const SHOWN_FAULTS_MAX = 20
const SHOWN_FILES_MAX = 2
const NO_QUERIES =
  'an earlier run sent it, and --url does not answer queries, so that it cannot be asked whether it is stored: name a ' +
  'query-frontend with --query-url'

export const IMPORT: CommandSpec = {
  name: 'import',
  about:
    'Bring old pprof files, of any age that retention keeps, each exactly once. Run it again to go on where it ended.',
  words: { hint: 'FILE or FOLDER…', min: 1, max: PATHS_MAX },
  flags: {
    ...SERVER_FLAGS,
    service: { value: 'NAME', about: 'service_name of all profiles' },
    label: { value: 'k=v', about: 'a label of all series', repeats: true },
    name: { value: '__name__', about: 'profile name; guessed from the sample types if absent' },
    state: { value: 'FILE', about: 'what is done is kept here', default: 'cinder-import.state' },
    'query-url': { value: 'URL', about: 'a query-frontend, where --url is a segment-writer; default: --url' },
    json: { about: 'one JSON document instead of lines' },
  },
  examples: [
    'cinder import profiles/ --service shop --label env=prod',
    'cinder import old/*.pb.gz --service shop --url http://writer:4042 --query-url http://frontend:4045 --state shop.state',
  ],
}

interface Item {
  readonly file: string
  readonly id: string
  readonly prepared: PreparedPush
  /** By an earlier run, and not asked about since; undefined = by this one. */
  readonly begunMs: number | undefined
}

interface Totals {
  files: number
  stored: number
  /** By this run or an earlier one. */
  known: number
  failed: { readonly file: string; readonly error: string }[]
}

export async function runImport(args: Arguments, shell: Shell): Promise<ExitCode> {
  const run = new ImportRun(args, shell)
  const totals = await run.run()
  shell.progress('')
  const paint = paintFor(shell.hasColour)
  if (args.has('json')) {
    shell.out(JSON.stringify({ ...totals, failed: totals.failed }, null, 2))
  } else {
    for (const line of failureLines(totals.failed)) shell.err(`${paint.red('failed')}  ${line}`)
    const { files, stored, known, failed } = totals
    const counts = [
      `${formatCount(stored)} stored`,
      `${formatCount(known)} there before`,
      `${formatCount(failed.length)} failed`,
    ]
    shell.out(`${formatCount(files)} files: ${counts.join(', ')}`)
  }
  return totals.failed.length === 0 ? EXIT.ok : EXIT.failed
}

/** A folder of old files tends to have one fault, a thousand times. */
function failureLines(failed: Totals['failed']): string[] {
  const files = Map.groupBy(failed, ({ error }) => error)
  const lines = [...files].slice(0, SHOWN_FAULTS_MAX).map(([error, of]) => {
    const named = of.slice(0, SHOWN_FILES_MAX).map(({ file }) => printable(file))
    const more = of.length > SHOWN_FILES_MAX ? ` and ${formatCount(of.length - SHOWN_FILES_MAX)} more` : ''
    return `${named.join(', ')}${more}: ${printable(error)}`
  })
  if (files.size > SHOWN_FAULTS_MAX)
    lines.push(`and ${formatCount(files.size - SHOWN_FAULTS_MAX)} other faults: see --json`)
  return lines
}

class ImportRun {
  readonly #shell: Shell
  readonly #server: Server
  readonly #queries: Server
  readonly #tenant: string
  readonly #paths: readonly string[]
  readonly #statePath: string
  readonly #options: PushOptions
  readonly #codec = createCodec()
  readonly #digest = createDigest()
  readonly #totals: Totals = { files: 0, stored: 0, known: 0, failed: [] }
  /** Equal profiles of different files are different ones. */
  readonly #equals = new Map<string, number>()
  #state: ImportState = parseState('')

  constructor(args: Arguments, shell: Shell) {
    this.#shell = shell
    this.#server = serverOf(args, shell)
    this.#queries = serverOf(args, shell, args.has('query-url') ? 'query-url' : 'url')
    this.#tenant = args.get('tenant') ?? 'anonymous'
    this.#paths = args.words
    this.#statePath = args.need('state')
    this.#options = {
      service: args.get('service'),
      labels: args.all('label').map(labelArgument),
      name: args.get('name'),
      timeNanos: undefined,
    }
  }

  async run(): Promise<Totals> {
    const shell = this.#shell
    this.#state = parseState(await this.#readState())
    const files: string[] = []
    for (const path of this.#paths) files.push(...(await shell.listFiles(path)))
    let batch: Item[] = []
    let batchBytes = 0
    for (const [i, file] of files.entries()) {
      this.#totals.files++
      shell.progress(`importing ${i + 1} of ${files.length}: ${printable(file)}`)
      const item = await this.#prepare(file)
      if (item === undefined) continue
      const sizeBytes = item.prepared.body.length
      if (batch.length > 0 && (batch.length === BATCH_PROFILES_MAX || batchBytes + sizeBytes > BATCH_BYTES_MAX)) {
        await this.#send(batch)
        batch = []
        batchBytes = 0
      }
      batch.push(item)
      batchBytes += sizeBytes
    }
    if (batch.length > 0) await this.#send(batch)
    return this.#totals
  }

  async #readState(): Promise<string> {
    try {
      return new TextDecoder().decode(await this.#shell.readFile(this.#statePath))
    } catch {
      // The first run.
      return ''
    }
  }

  /** Undefined: nothing is to be sent of it. */
  async #prepare(file: string): Promise<Item | undefined> {
    try {
      const prepared = preparePush(await this.#shell.readFile(file), this.#options, this.#codec)
      if (prepared.timeNanos <= 0n) throw new CinderError('invalid_argument', 'the profile has no time of its own')
      const id = this.#idOf(prepared)
      const step = nextStep(this.#state, id, this.#shell.nowMs())
      const begunMs = step === 'send' ? this.#state.begunMs.get(id) : undefined
      const item = { file, prepared, id, begunMs }
      if (step === 'send') return item
      const isThere = step === 'skip' || (await this.#isStored(item))
      if (!isThere) return item
      if (step === 'ask') await this.#shell.appendFile(this.#statePath, doneLine(item.id))
      this.#totals.known++
      return undefined
    } catch (error) {
      this.#fail(file, error)
      return undefined
    }
  }

  #fail(file: string, error: unknown): void {
    if (error instanceof CinderError && error.reason === UNREACHABLE) throw error
    this.#totals.failed.push({ file, error: error instanceof Error ? error.message : String(error) })
  }

  #idOf({ body, labels, timeNanos }: PreparedPush): string {
    const content = Buffer.from(this.#digest.digest128(body)).toString('hex')
    const equal = `${content} ${labelsKey(labels)} ${timeNanos} ${this.#tenant}`
    const ordinal = this.#equals.get(equal) ?? 0
    this.#equals.set(equal, ordinal + 1)
    const hex = Buffer.from(this.#digest.digest128(new TextEncoder().encode(`${equal} ${ordinal}`))).toString('hex')
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
  }

  async #isStored({ id, prepared }: Item): Promise<boolean> {
    try {
      return await isStored(this.#queries, id, prepared)
    } catch (error) {
      if (!(error instanceof CinderError) || error.reason !== 'status_404') throw error
      throw new CinderError('failed_precondition', NO_QUERIES, { cause: error })
    }
  }

  async #send(batch: readonly Item[]): Promise<void> {
    const { nowMs, appendFile } = this.#shell
    const startedMs = nowMs()
    let waiting = batch
    await appendFile(this.#statePath, batch.map(({ id }) => begunLine(id, startedMs)).join(''))
    for (let attempt = 1; ; attempt++) {
      if (attempt > 1) waiting = await this.#notStored(waiting, startedMs)
      if (waiting.length === 0) return
      const verdicts = await this.#write(waiting)
      const again: Item[] = []
      let waitMs = Math.min(WAIT_MAX_MS, WAIT_MIN_MS * 2 ** (attempt - 1))
      let done = ''
      waiting.forEach((item, i) => {
        const verdict = verdicts[i]!
        const isLast = attempt === ATTEMPTS_MAX
        if (verdict.status !== 'rejected') {
          done += doneLine(item.id)
          if (verdict.status === 'duplicate') this.#totals.known++
          else this.#totals.stored++
        } else if (!isLast && isRetryable(verdict.kind as ErrorKind)) {
          again.push(item)
          waitMs = Math.max(waitMs, verdict.retryAfterMs)
        } else this.#totals.failed.push({ file: item.file, error: verdict.message })
      })
      if (done !== '') await appendFile(this.#statePath, done)
      waiting = again
      if (waiting.length > 0) await this.#shell.sleep?.(Math.min(waitMs, WAIT_MAX_MS))
    }
  }

  /** Of what was refused: an earlier try may have been stored and its answer lost, and the server knows ids for a while. */
  async #notStored(items: readonly Item[], startedMs: number): Promise<readonly Item[]> {
    const { nowMs, appendFile } = this.#shell
    const missing: Item[] = []
    for (const item of items) {
      if (isRemembered(item.begunMs ?? startedMs, nowMs())) {
        missing.push(item)
        continue
      }
      try {
        if (await this.#isStored(item)) {
          await appendFile(this.#statePath, doneLine(item.id))
          this.#totals.known++
        } else missing.push({ ...item, begunMs: nowMs() })
      } catch (error) {
        this.#fail(item.file, error)
      }
    }
    return missing
  }

  /** One verdict an item; a server that takes nothing for now is one of each. */
  async #write(items: readonly Item[]): Promise<readonly ProfileVerdict[]> {
    const series: WriteSeries[] = items.map(({ id, prepared: { labels, body } }) => ({
      labels: [...labels],
      profiles: [{ bytes: body, clientId: id }],
    }))
    const pieces = encodeWriteRequest({ tenant: this.#tenant, series, isImport: true })
    try {
      const answer = await this.#server.send(
        'cinder.v1.SegmentWriterService/Write',
        new Uint8Array(Buffer.concat(pieces)),
      )
      const { verdicts } = decodeWriteResponse(answer)
      if (verdicts.length === items.length) return verdicts
      const message = `the server answered ${verdicts.length} verdicts for ${items.length} profiles`
      return refusalsOf(items, 'unavailable', message)
    } catch (error) {
      if (!(error instanceof CinderError) || error.reason === UNREACHABLE) throw error
      const isLater = error.reason === 'status_503' || error.reason === 'status_429'
      return refusalsOf(items, isLater ? 'unavailable' : 'invalid_argument', error.message)
    }
  }
}

function refusalsOf(items: readonly Item[], kind: ErrorKind, message: string): ProfileVerdict[] {
  const verdict = { status: 'rejected', kind, reason: '', message, retryAfterMs: 0, decompressedBytes: 0 }
  return items.map(() => verdict)
}
