/** Validation of settings with valibot: one sentence that names the setting, its value and what is allowed. */
import * as v from 'valibot'
import { invalidArgument } from '#core/errors.ts'

export const portSchema = v.pipe(
  v.string(),
  v.regex(/^\d{1,5}$/, 'a port is a number from 0 to 65535'),
  v.transform(Number),
  v.maxValue(65_535, 'a port is a number from 0 to 65535'),
)

export const urlSchema = v.pipe(v.string(), v.url('a URL such as http://127.0.0.1:4041'))

/** Fails with the first fault: `setting PORT is "http": a port is a number from 0 to 65535`. */
export function parseSettings<Schema extends v.GenericSchema>(schema: Schema, picked: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, picked, { abortEarly: true })
  if (result.success) return result.output
  const [issue] = result.issues
  const name = v.getDotPath(issue) ?? 'settings'
  const value = issue.input === undefined ? 'is missing' : `is ${JSON.stringify(issue.input)}`
  const wanted = issue.input === undefined ? '' : `: ${issue.message}`
  throw invalidArgument(`setting ${name} ${value}${wanted}`, 'bad_setting')
}
