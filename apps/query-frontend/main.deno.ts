/** The query-frontend on Deno: the app of the workers, with settings from the environment and one listener. */
import { serveDeno } from '#platform/http/serve-deno.ts'
import { readConfig } from './config.ts'
import { composeEdge } from './edge.ts'

serveDeno({ name: 'query-frontend', readConfig, compose: (env) => composeEdge(env, { runsOn: true }) })
