/**
 * CPU and memory of a program with all that it started, by Linux's /proc.
 *
 * 1. Follow parents to children from the given processes. A supervised Postgres has a session of its own but keeps its
 *    parent; whatever lost it is found by its working directory.
 * 2. CPU is user and system time of each, plus that of children which have ended and were waited for.
 * 3. Memory is the proportional set size: pages that the processes of Postgres share count once in the sum.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

export interface TreeUse {
  readonly cpuMs: number
  readonly pssBytes: number
  readonly processes: number
}

export interface ProcessStat {
  readonly parent: number
  readonly cpuMs: number
}

/** The kernel's clock ticks 100 times a second on every Linux. */
const MS_PER_TICK = 10

/** Undefined where there is no /proc. `workingDir`: processes that work there belong to the tree too. */
export function measureTree(pid: number, workingDir?: string): TreeUse | undefined {
  if (process.platform !== 'linux') return undefined
  const stats = new Map<number, ProcessStat>()
  const roots = [pid]
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const text = read(`/proc/${entry}/stat`)
    if (text === undefined) continue
    stats.set(Number(entry), parseStat(text))
    if (workingDir !== undefined && isWorkingIn(entry, workingDir)) roots.push(Number(entry))
  }
  const members = membersOf(roots, stats)
  let cpuMs = 0
  let pssBytes = 0
  for (const member of members) {
    cpuMs += stats.get(member)!.cpuMs
    pssBytes += parsePss(read(`/proc/${member}/smaps_rollup`) ?? '')
  }
  return { cpuMs, pssBytes, processes: members.length }
}

/** The name in parentheses may hold spaces and parentheses; parent is field 4, times are 14 to 17 (proc(5)). */
export function parseStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  return { parent: Number(fields[1]), cpuMs: ticks * MS_PER_TICK }
}

/** 0 for a process that has ended. */
export function parsePss(text: string): number {
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024
}

/** Each once, whatever leads to it. */
export function membersOf(roots: readonly number[], stats: ReadonlyMap<number, ProcessStat>): number[] {
  const children = new Map<number, number[]>()
  for (const [pid, { parent }] of stats) {
    const siblings = children.get(parent)
    if (siblings === undefined) children.set(parent, [pid])
    else siblings.push(pid)
  }
  const members = new Set<number>()
  const pending = [...roots]
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    if (members.has(pid) || !stats.has(pid)) continue
    members.add(pid)
    pending.push(...(children.get(pid) ?? []))
  }
  return [...members]
}

function isWorkingIn(pid: string, directory: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === directory
  } catch {
    return false
  }
}

/** Undefined: it ended meanwhile, or is not ours to read. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
