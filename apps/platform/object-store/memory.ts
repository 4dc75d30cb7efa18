/** The object store in memory, for tests and for trying things out: bodies are copied in and out, nothing is durable. */
import { CinderError } from '#core/errors.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { PartList } from '#core/store/part-list.ts'
import { checkKey, checkPrefix, checkRange, compareKeys, notFound } from './object-key.ts'

export function createMemoryStore(): ObjectStore {
  const objects = new Map<string, Uint8Array>()
  const find = (key: string): Uint8Array => {
    const body = objects.get(checkKey(key))
    if (body === undefined) throw notFound(key)
    return body
  }
  return {
    async put(key, body) {
      objects.set(checkKey(key), body.slice())
    },
    async putIfAbsent(key, body) {
      if (objects.has(checkKey(key))) throw new CinderError('already_exists', `object ${key} exists`)
      objects.set(key, body.slice())
    },
    async get(key) {
      return find(key).slice()
    },
    async getRange(key, offset, lengthBytes) {
      checkRange(key, offset, lengthBytes)
      const body = find(key)
      if (offset + lengthBytes > body.length) {
        throw new CinderError(
          'data_loss',
          `object ${key} has ${body.length} bytes, bytes ${offset} to ${offset + lengthBytes} were asked for`,
        )
      }
      return body.slice(offset, offset + lengthBytes)
    },
    async head(key) {
      const body = objects.get(checkKey(key))
      return body === undefined ? undefined : { sizeBytes: body.length }
    },
    async list(prefix, options = {}) {
      checkPrefix(prefix)
      const { startAfter, limit } = options
      const keys = [...objects.keys()].filter(
        (key) => key.startsWith(prefix) && (startAfter === undefined || key > startAfter),
      )
      return keys.sort(compareKeys).slice(0, limit)
    },
    async delete(key) {
      objects.delete(checkKey(key))
    },
    async createUpload(key, { partBytes }) {
      const list = new PartList(checkKey(key), partBytes)
      const parts = new Map<number, { offset: number; body: Uint8Array }>()
      return {
        async putPart(part, body) {
          const offset = list.check(part, body.length)
          parts.set(part, { offset, body: body.slice() })
          list.add(part, body.length)
        },
        async complete() {
          const whole = new Uint8Array(list.checkComplete().sizeBytes)
          if (list.ended !== undefined) return
          for (const { offset, body } of parts.values()) whole.set(body, offset)
          objects.set(key, whole)
          list.end('completed')
          parts.clear()
        },
        async abort() {
          list.end('aborted')
          parts.clear()
        },
      }
    },
  }
}
