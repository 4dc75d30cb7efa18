/**
 * Runs worlds seed by seed, and says of one that failed all that a person needs: the command that repeats it, the fewest
 * classes of faults that it needs, and what happened last.
 *
 * `SIM_SEED=7` runs that seed alone, `SIM_SEEDS=20000` so many, `SIM_FAULTS=link,pause` no other classes.
 */
import { FAULT_CLASSES, type FaultClass } from './faults.ts'
import type { Mutation } from './mutations.ts'
import type { WorldReport, WorldSpec } from './world-report.ts'
import { runWorld } from './world.ts'

/** A plain run: 12 s of one core. CI: 40 times that. */
const SEEDS_PLAIN = 120
const SEEDS_CI = 5_000

function seedsToRun(env: Readonly<Record<string, string | undefined>>): number[] {
  if (env.SIM_SEED !== undefined) return [Number(env.SIM_SEED)]
  const count = Number(env.SIM_SEEDS ?? (env.CI === 'true' ? SEEDS_CI : SEEDS_PLAIN))
  return Array.from({ length: count }, (_, i) => i + 1)
}

function faultClasses(env: Readonly<Record<string, string | undefined>>): FaultClass[] {
  const named = env.SIM_FAULTS?.split(',')
  return FAULT_CLASSES.filter((name) => named === undefined || named.includes(name))
}

/** The suites simulation-1 to simulation-4 share the seeds, so that as many cores work on them as there are. */
const SLICES = 4
/** About a second: a fifth of what a test may take where it is run alone. */
const SEEDS_PER_TEST = 25

/** The seeds of one suite, test by test. */
export function slice(suite: number): number[][] {
  const seeds = seedsToRun(process.env).filter((_, i) => i % SLICES === suite - 1)
  const tests = Array.from({ length: Math.ceil(seeds.length / SEEDS_PER_TEST) }, (_, i) => i * SEEDS_PER_TEST)
  return tests.map((from) => seeds.slice(from, from + SEEDS_PER_TEST))
}

/** The story of the first world that shows a violation. `mutation`: a planted bug, to try the story itself. */
export async function firstFailure(seeds: readonly number[], mutation?: Mutation): Promise<string | undefined> {
  const classes = faultClasses(process.env)
  for (const seed of seeds) {
    const report = await runWorld({ seed, classes: new Set(classes), mutation })
    if (report.seen !== undefined) return await storyOf({ seed, classes: new Set(classes), mutation }, report)
  }
  return undefined
}

export interface Found {
  readonly seed: number
  readonly report: WorldReport
}

/** The first world up to `seedsMax` that shows the planted bug; the likely one is asked before. */
export async function findMutation(mutation: Mutation, seedsMax: number): Promise<Found | undefined> {
  const seeds = Array.from({ length: seedsMax }, (_, i) => i + 1)
  if (mutation.likelySeed !== undefined) seeds.unshift(mutation.likelySeed)
  for (const seed of seeds) {
    const report = await runWorld({ seed, classes: new Set(mutation.classes ?? FAULT_CLASSES), mutation })
    if (report.seen !== undefined) return { seed, report }
  }
  return undefined
}

async function storyOf(spec: WorldSpec, report: WorldReport): Promise<string> {
  const fewest = await fewestClasses(spec, report)
  const last = await runWorld({ ...spec, classes: fewest })
  const { seed } = spec
  return [
    `seed ${seed}: ${last.seen?.what ?? report.seen!.what}`,
    `again: SIM_SEED=${seed} SIM_FAULTS=${[...fewest].join()} npm test -- test/sim/simulation-1`,
    ...last.trace,
  ].join('\n')
}

/** Leaves out class by class what the violation does not need. */
async function fewestClasses(spec: WorldSpec, { seen }: WorldReport): Promise<ReadonlySet<FaultClass>> {
  let fewest = spec.classes
  for (const name of spec.classes) {
    const without = new Set([...fewest].filter((each) => each !== name))
    const report = await runWorld({ ...spec, classes: without })
    if (report.seen?.kind === seen!.kind) fewest = without
  }
  return fewest
}
