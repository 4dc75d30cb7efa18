/**
 * `npm run chaos`: the chaos suite for five minutes, its table, and a verdict. `-- --seconds N --seed N` change the run;
 * the exit code is the verdict.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'

const SECONDS_DEFAULT = '300'
const OPTIONS = { '--seconds': 'CHAOS_SECONDS', '--seed': 'CHAOS_SEED' } as const

function readOptions(argv: readonly string[]): Record<string, string> {
  const env: Record<string, string> = { CHAOS_SECONDS: SECONDS_DEFAULT, CHAOS_SEED: String(Date.now() % 1_000_000) }
  for (let i = 0; i < argv.length; i += 2) {
    const name = OPTIONS[argv[i] as keyof typeof OPTIONS]
    const value = argv[i + 1]
    if (name === undefined || value === undefined || !/^\d+$/.test(value)) {
      process.stderr.write('usage: npm run chaos -- [--seconds N] [--seed N]\n')
      process.exit(2)
    }
    env[name] = value
  }
  return env
}

const env = readOptions(process.argv.slice(2))
const startedMs = performance.now()
const progress = setInterval(() => {
  process.stderr.write(
    `\rchaos: ${Math.round((performance.now() - startedMs) / 1000)} s of ${env.CHAOS_SECONDS} s and the settling `,
  )
}, 1_000)
const child = spawn(process.execPath, ['test', '--timeout=3600000', './chaos.test.ts'], {
  cwd: join(import.meta.dirname),
  env: { ...process.env, ...env },
  stdio: ['ignore', 'inherit', 'pipe'],
})
let report = ''
child.stderr.on('data', (chunk: Buffer) => {
  report += chunk.toString('utf8')
})
child.once('exit', (code) => {
  clearInterval(progress)
  process.stderr.write('\n')
  if (code !== 0) process.stderr.write(report)
  const seed = `seed ${env.CHAOS_SEED}`
  process.stdout.write(
    code === 0 ? `verdict: nothing lost, nothing doubled (${seed})\n` : `verdict: FAILED (${seed})\n`,
  )
  process.exit(code ?? 1)
})
