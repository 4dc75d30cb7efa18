/**
 * The metadata event of a chunk: which types it has, and what fields they have, in their order.
 *
 * 1. A table of strings.
 * 2. A tree of elements, each a name, attributes and children, by string numbers: root > metadata > class > field.
 *    Settings, annotations and regions are passed over.
 *
 * Types with ids past 2^53, or twice the same id, are a fault: nobody could tell what an event is.
 */
import { type JfrCursor } from './cursor.ts'

export interface JfrField {
  readonly name: string
  /** Id of its class. */
  readonly type: number
  /** The value is a key into the pool of its class. */
  readonly isPooled: boolean
  readonly isArray: boolean
}

export interface JfrClass {
  readonly id: number
  readonly name: string
  readonly fields: readonly JfrField[]
}

export type JfrClasses = ReadonlyMap<number, JfrClass>

/** root, metadata, class, field, annotation: five. Deeper trees are crafted. */
const DEPTH_MAX = 16
/** JDK 25 has 2,900 strings and 330 types; agents of ours below 300 and 60. */
const STRINGS_MAX = 65_536
const CLASSES_MAX = 8_192
const FIELDS_MAX = 65_536

export function readMetadata(cursor: JfrCursor): JfrClasses {
  return new MetadataReader(cursor).read()
}

class MetadataReader {
  readonly #cursor: JfrCursor
  #strings: string[] = []
  readonly #classes = new Map<number, JfrClass>()
  #fields = 0

  constructor(cursor: JfrCursor) {
    this.#cursor = cursor
  }

  read(): JfrClasses {
    const cursor = this.#cursor
    // Start time, duration, id of the metadata.
    for (let i = 0; i < 3; i++) cursor.long()
    const count = cursor.count('strings of the metadata')
    if (count > STRINGS_MAX) cursor.fail(`its metadata has ${count} strings, ${STRINGS_MAX} are allowed`)
    for (let i = 0; i < count; i++) {
      cursor.string()
      this.#strings.push(cursor.text())
    }
    this.#element(0, undefined)
    cursor.expectWithin(cursor.end, 'the metadata')
    return this.#classes
  }

  /** One element and all below it; `fields` are those of the class that it belongs to. */
  #element(depth: number, fields: JfrField[] | undefined): void {
    const cursor = this.#cursor
    if (depth > DEPTH_MAX) cursor.fail(`elements of its metadata lie more than ${DEPTH_MAX} deep`)
    const name = this.#text()
    const attributes = new Map<string, string>()
    for (let left = cursor.count('attributes'); left > 0; left--) attributes.set(this.#text(), this.#text())
    let own: JfrField[] | undefined
    if (name === 'class') own = this.#addClass(attributes)
    else if (name === 'field') this.#addField(attributes, fields)
    for (let left = cursor.count('elements'); left > 0; left--) this.#element(depth + 1, own)
    cursor.expectWithin(cursor.end, 'the metadata')
  }

  #addClass(attributes: ReadonlyMap<string, string>): JfrField[] {
    const id = this.#number(attributes.get('id'), 'class')
    const fields: JfrField[] = []
    if (this.#classes.has(id)) this.#cursor.fail(`its metadata has the class ${id} twice`)
    if (this.#classes.size === CLASSES_MAX) this.#cursor.fail(`its metadata has more than ${CLASSES_MAX} classes`)
    this.#classes.set(id, { id, name: attributes.get('name') ?? '', fields })
    return fields
  }

  #addField(attributes: ReadonlyMap<string, string>, fields: JfrField[] | undefined): void {
    if (fields === undefined) this.#cursor.fail('its metadata has a field outside of a class')
    if (++this.#fields > FIELDS_MAX) this.#cursor.fail(`its metadata has more than ${FIELDS_MAX} fields`)
    fields.push({
      name: attributes.get('name') ?? '',
      type: this.#number(attributes.get('class'), 'field'),
      isPooled: attributes.get('constantPool') === 'true',
      isArray: attributes.get('dimension') === '1',
    })
  }

  #number(text: string | undefined, of: string): number {
    const id = text === undefined || !/^\d+$/.test(text) ? Number.NaN : Number(text)
    if (!Number.isSafeInteger(id)) this.#cursor.fail(`a ${of} of its metadata has the type ${text ?? 'none'}`)
    return id
  }

  #text(): string {
    const index = this.#cursor.int()
    const text = this.#strings[index]
    if (text === undefined) {
      this.#cursor.fail(`its metadata names the string ${index}, it has ${this.#strings.length}`)
    }
    return text
  }
}
