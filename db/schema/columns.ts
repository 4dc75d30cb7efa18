/** Column types that drizzle 0.45 does not have, and arrays with the element types used here. */
import { customType } from 'drizzle-orm/pg-core'

function columnOf<T>(sqlType: string) {
  return customType<{ data: T; driverData: unknown }>({ dataType: () => sqlType })
}

export const bytea = columnOf<Uint8Array>('bytea')
/** One bit per dataset of a segment. */
export const bitmap = columnOf<string>('bit varying')
export const integers = columnOf<number[]>('integer[]')
export const bigints = columnOf<number[]>('bigint[]')
export const texts = columnOf<string[]>('text[]')
