/**
 * The OpenTelemetry Collector as a process (test/fixtures/programs/otel-collector): an OTLP receiver whose profiles go to
 * every exporter of its configuration. It runs where `CINDER_TEST_OTEL_COLLECTOR` names it.
 *
 * What its exporters did is told by itself: by its log, a JSON object a line, and by its own metrics, which it writes when
 * it ends. Ending by SIGTERM sends what is queued first.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startProgram } from './process.ts'
import { makeDataDir } from './server-process.ts'

const program = process.env.CINDER_TEST_OTEL_COLLECTOR ?? ''

/** Why suites of it are passed over, where they are. */
export function absentCollector(): false | string {
  return program === '' && 'the OpenTelemetry Collector is not built: CINDER_TEST_OTEL_COLLECTOR does not name it'
}

/** By component, `otlp_grpc/gzip` say. */
export type Exporters = Readonly<Record<string, object>>

export interface CollectorLine {
  readonly level: string
  readonly msg: string
  /** Component that wrote it. */
  readonly 'otelcol.component.id'?: string
  readonly error?: string
  /** Until the next try. */
  readonly interval?: string
  readonly dropped_items?: number
  readonly dropped_profiles?: number
  readonly dropped_samples?: number
  readonly message?: string
}

/** Samples of an exporter, by its own metrics. */
export interface Exported {
  readonly sent: number
  readonly failed: number
}

export interface CollectorEnd {
  readonly lines: readonly CollectorLine[]
  readonly exported: ReadonlyMap<string, Exported>
}

export interface Collector {
  /** One request of OTLP in protobuf to its receiver; resolves when it is in the queue of every exporter. */
  send(request: Uint8Array): Promise<void>
  /** Resolves when it has ended in good order. */
  stop(): Promise<CollectorEnd>
}

/** Resolves when its receiver listens. */
export async function startCollector(exporters: Exporters): Promise<Collector> {
  const directory = await makeDataDir()
  const [configPath, metricsPath] = [join(directory, 'collector.yaml'), join(directory, 'metrics.json')]
  // JSON is YAML.
  writeFileSync(configPath, JSON.stringify(configOf(exporters)))
  // Metrics alone go to standard output; through a pipe they would be torn by lines of the log.
  const command = ['sh', '-c', 'out="$1"; shift; exec "$@" >"$out"', 'sh', metricsPath, program, configPath] as const
  const running = startProgram({ command: [...command], env: process.env })
  const receiver = (await running.waitFor(/"Starting HTTP server".*"endpoint":"([^"]+)"/))[1]!
  await running.waitFor(/"Everything is ready/)
  return {
    async send(request) {
      const headers = { 'Content-Type': 'application/x-protobuf' }
      const init = { method: 'POST', headers, body: request as Uint8Array<ArrayBuffer> }
      const answer = await fetch(`http://${receiver}/v1development/profiles`, init)
      assert.equal(answer.status, 200, await answer.text())
    },
    async stop() {
      running.kill('SIGTERM')
      assert.deepEqual(await running.exited, { code: 0, signal: null }, running.output())
      return { lines: readLines(running.stderr()), exported: readExported(readFileSync(metricsPath, 'utf8')) }
    },
  }
}

function configOf(exporters: Exporters): object {
  // No reading in between: the one at the end is written alone.
  const reader = { periodic: { interval: 3_600_000, exporter: { console: {} } } }
  const metrics = { level: 'normal', readers: [reader] }
  return {
    receivers: { otlp: { protocols: { http: { endpoint: '127.0.0.1:0' } } } },
    exporters,
    service: {
      telemetry: { metrics, logs: { encoding: 'json', level: 'info', sampling: { enabled: false } } },
      pipelines: { profiles: { receivers: ['otlp'], exporters: Object.keys(exporters) } },
    },
  }
}

function readLines(text: string): CollectorLine[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as CollectorLine)
}

interface MetricsMessage {
  readonly ScopeMetrics: readonly {
    readonly Metrics: readonly {
      readonly Name: string
      readonly Data: {
        readonly DataPoints?: readonly {
          readonly Attributes?: readonly { readonly Key: string; readonly Value: { readonly Value: unknown } }[]
          readonly Value?: number
        }[]
      }
    }[]
  }[]
}

const COUNTERS: Readonly<Record<string, keyof Exported>> = {
  otelcol_exporter_sent_profile_samples: 'sent',
  otelcol_exporter_send_failed_profile_samples: 'failed',
}

function readExported(text: string): Map<string, Exported> {
  const { ScopeMetrics } = JSON.parse(text) as MetricsMessage
  const exported = new Map<string, Exported>()
  for (const { Name, Data } of ScopeMetrics.flatMap(({ Metrics }) => Metrics)) {
    const counter = COUNTERS[Name]
    if (counter === undefined) continue
    for (const { Attributes = [], Value = 0 } of Data.DataPoints ?? []) {
      const exporter = String(Attributes.find(({ Key }) => Key === 'exporter')?.Value.Value)
      const counts = exported.get(exporter) ?? { sent: 0, failed: 0 }
      // An exporter has a point for each kind of failure.
      exported.set(exporter, { ...counts, [counter]: counts[counter] + Value })
    }
  }
  return exported
}
