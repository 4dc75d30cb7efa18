/** What every process says of itself: version, start, memory and CPU. Not for workers, which have no process. */
import { VERSION } from '../version.ts'
import type { Registry } from './registry.ts'

/** Also of what is no process: a worker. */
export function addBuildMetrics(registry: Registry, target: string): void {
  const build = { version: 1, target: 1 }
  registry
    .gauge('pyroscope_build_info', 'Version of the program, under the name of the peers.', { version: 1 })
    .set(1, VERSION)
  registry.gauge('cinder_build_info', 'Version and service of the program.', build).set(1, VERSION, target)
}

export function addProcessMetrics(registry: Registry, target: string): void {
  addBuildMetrics(registry, target)
  const started = registry.gauge('process_start_time_seconds', 'Start of the process in seconds since 1970.')
  started.set(Math.round(Date.now() / 1_000 - process.uptime()))
  const memory = registry.gauge('process_resident_memory_bytes', 'Memory of the process.')
  const cpu = registry.reading('process_cpu_seconds_total', 'CPU seconds of the process, user and system.')
  registry.collect(() => {
    memory.set(process.memoryUsage.rss())
    const { user, system } = process.cpuUsage()
    cpu.set((user + system) / 1e6)
  })
}
