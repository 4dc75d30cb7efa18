/**
 * `npm run check`: what a change must pass before it is shared, in under 30 s. One line per step with its time, the
 * output of steps that failed, exit code 1 if any did. Steps are independent and run two at a time.
 */
import { join } from 'node:path'
import { killRunning, runCommand } from './runner/command.ts'
import { ROOT } from './tidy/source-tree.ts'

/** The whole check has 30 s; a step that takes a minute hangs. */
const STEP_TIMEOUT_MS = 60_000
/** Compilers and linters use several threads themselves. */
const LANES = 2

interface Step {
  name: string
  argv: string[]
}

function tool(name: string): string {
  return join(ROOT, 'node_modules', '.bin', name)
}

const STEPS: Step[] = [
  { name: 'types of core, without any runtime', argv: [tool('tsc'), '-p', 'core'] },
  { name: 'types of everything', argv: [tool('tsc'), '-p', '.'] },
  { name: 'lint', argv: [tool('oxlint'), '--deny-warnings'] },
  { name: 'format', argv: [tool('biome'), 'format', '--colors=off', '.'] },
  { name: 'unused files, exports, packages', argv: [tool('knip'), '--no-progress', '--no-config-hints'] },
  { name: 'tidy', argv: [process.execPath, 'test', '--only-failures', './test/tidy'] },
]

async function runStep(step: Step): Promise<boolean> {
  const result = await runCommand(step.argv, { timeoutMs: STEP_TIMEOUT_MS })
  const ok = result.exitCode === 0
  const duration = (result.durationMs / 1000).toFixed(1).padStart(5)
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${duration} s  ${step.name}${result.death === '' ? '' : ` (${result.death})`}`)
  if (!ok) console.log(result.output)
  return ok
}

async function main(): Promise<number> {
  process.chdir(ROOT)
  const pending = STEPS.values()
  let failures = 0
  const lane = async (): Promise<void> => {
    for (const step of pending) if (!(await runStep(step))) failures++
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  console.log(failures === 0 ? 'check passed' : `check failed: ${failures} of ${STEPS.length} steps`)
  return failures === 0 ? 0 : 1
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    killRunning()
    process.exit(130)
  })
}
process.exitCode = await main()
