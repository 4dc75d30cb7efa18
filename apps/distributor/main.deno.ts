/** The distributor on Deno: the app of the workers, with settings from the environment and one listener. */
import { readBodyInPlace } from '#platform/http/body.ts'
import { serveDeno } from '#platform/http/serve-deno.ts'
import { readEdgeConfig } from './config.ts'
import { composeEdge } from './edge.ts'

serveDeno({
  name: 'distributor',
  readConfig: readEdgeConfig,
  compose: (env) => composeEdge(env, { readBody: readBodyInPlace, isProcess: true }),
})
