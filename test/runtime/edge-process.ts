/** An edge app as a real process of a runtime, started by a suite and stopped with it. */
import { type Program, startProgram, waitForHttp } from '../support/process.ts'
import { type Send, sendTo } from '../support/server-client.ts'
import { cleanEnv } from '../support/server-process.ts'
import { type EdgeApp, edgeCommand, type EdgeSettings, type Runtime } from './edge-command.ts'

export interface EdgeProcess {
  readonly url: string
  readonly send: Send
  readonly program: Program
  stop(): Promise<void>
}

export async function startEdge(runtime: Runtime, app: EdgeApp, settings: EdgeSettings): Promise<EdgeProcess> {
  const { command, cwd, env, ready, remove } = await edgeCommand(runtime, app, settings)
  const program = startProgram({ command, cwd, env: cleanEnv(env) })
  const [, place] = await program.waitFor(ready)
  const url = place!.startsWith('http') ? place! : `http://127.0.0.1:${place}`
  await waitForHttp(`${url}/ready`)
  return {
    url,
    send: sendTo(url),
    program,
    async stop() {
      program.kill('SIGTERM')
      await program.exited
      await remove()
    },
  }
}
