/** `cinder push`: files to the push service, one request each, so that one bad file does not refuse the others. */
import { CinderError } from '#core/errors.ts'
import { createCodec } from '#platform/codec.ts'
import { type Arguments, type CommandSpec, labelArgument } from './arguments.ts'
import { type PreparedPush, preparePush, type PushOptions, SERVICE_DEFAULT } from './push-request.ts'
import { formatBytes, formatCount, formatInstant } from './quantity.ts'
import { SERVER_FLAGS, type Server, serverOf, UNREACHABLE } from './server.ts'
import { EXIT, type ExitCode, paintFor, printable, type Shell } from './shell.ts'

/** 10,000: more words do not fit on a command line either. */
const FILES_MAX = 10_000

export const PUSH: CommandSpec = {
  name: 'push',
  about: 'Push pprof files, gzip or plain. Every file is one request; a bad one does not stop the others.',
  words: { hint: 'FILE…', min: 1, max: FILES_MAX },
  flags: {
    ...SERVER_FLAGS,
    service: { value: 'NAME', about: `service_name (default ${SERVICE_DEFAULT})` },
    label: { value: 'k=v', about: 'a label of the series', repeats: true },
    name: { value: '__name__', about: 'profile name; guessed from the sample types if absent' },
    time: {
      value: 'now|keep',
      about: 'give the profile the time of the push, or keep its own (servers refuse old ones)',
      default: 'now',
      choices: ['now', 'keep'],
    },
    json: { about: 'one JSON document instead of lines' },
  },
  examples: [
    'cinder push cpu.pprof.gz --service shop --label env=dev',
    'cinder push profiles/*.pb.gz --time keep --url http://127.0.0.1:4040',
  ],
}

interface Outcome {
  readonly file: string
  readonly ok: boolean
  readonly sizeBytes?: number
  readonly pushed?: PreparedPush
  readonly error?: string
}

export async function runPush(args: Arguments, shell: Shell): Promise<ExitCode> {
  const server = serverOf(args, shell)
  const options: Omit<PushOptions, 'timeNanos'> = {
    service: args.get('service'),
    labels: args.all('label').map(labelArgument),
    name: args.get('name'),
  }
  const isJson = args.has('json')
  const outcomes: Outcome[] = []
  for (const [i, file] of args.words.entries()) {
    shell.progress(`pushing ${i + 1} of ${args.words.length}: ${printable(file)}`)
    const timeNanos = args.get('time') === 'now' ? BigInt(Math.floor(shell.nowMs())) * 1_000_000n : undefined
    const outcome = await pushFile(file, { ...options, timeNanos }, { server, shell })
    outcomes.push(outcome)
    if (!isJson) printOutcome(outcome, shell)
  }
  shell.progress('')
  const failed = outcomes.filter(({ ok }) => !ok).length
  if (isJson) shell.out(JSON.stringify(outcomes.map(jsonOf), null, 2))
  else if (outcomes.length > 1) shell.out(`${outcomes.length - failed} pushed, ${failed} failed`)
  return failed === 0 ? EXIT.ok : EXIT.failed
}

/** Fails only if the server cannot be reached: then no other file would do better. */
async function pushFile(
  file: string,
  options: PushOptions,
  through: { server: Server; shell: Shell },
): Promise<Outcome> {
  let sizeBytes: number | undefined
  try {
    const bytes = await readProfile(file, through.shell)
    sizeBytes = bytes.length
    const pushed = preparePush(bytes, options, createCodec())
    await through.server.send('push.v1.PusherService/Push', pushed.message)
    return { file, ok: true, sizeBytes, pushed }
  } catch (error) {
    if (!(error instanceof CinderError) || error.reason === UNREACHABLE) throw error
    return { file, ok: false, error: error.message, ...(sizeBytes === undefined ? {} : { sizeBytes }) }
  }
}

async function readProfile(file: string, shell: Shell): Promise<Uint8Array> {
  try {
    return await shell.readFile(file)
  } catch (cause) {
    throw new CinderError('not_found', `cannot read it: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    })
  }
}

function printOutcome(outcome: Outcome, shell: Shell): void {
  shell.progress('')
  const { file, pushed, sizeBytes = 0 } = outcome
  const paint = paintFor(shell.hasColour)
  if (pushed === undefined) {
    shell.err(`${paint.red('failed')}  ${printable(file)}: ${printable(outcome.error ?? '')}`)
    return
  }
  const time = formatInstant(Number(pushed.timeNanos / 1_000_000n))
  const facts = [
    printable(pushed.name),
    `${formatCount(pushed.sampleCount)} samples of ${pushed.sampleTypes.map(printable).join(', ')}`,
    formatBytes(sizeBytes),
    time,
  ]
  shell.out(`${paint.green('pushed')}  ${printable(file)}  ${facts.join('  ')}`)
}

function jsonOf({ file, ok, sizeBytes, pushed, error }: Outcome): object {
  if (pushed === undefined) return { file, ok, sizeBytes, error }
  const { name, sampleTypes, sampleCount, timeNanos } = pushed
  return { file, ok, sizeBytes, name, sampleTypes, sampleCount, timeNanos: String(timeNanos) }
}
