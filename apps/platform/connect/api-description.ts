/**
 * `GET /api/swagger.json`: the RPCs that anybody may call, as OpenAPI 2, made from the descriptors that also serve them. A
 * call is a POST of JSON (or of protobuf, which OpenAPI 2 has no words for). Made once, when somebody first asks.
 */
import { type DescEnum, type DescField, type DescMessage, type DescService, ScalarType } from '@bufbuild/protobuf'
import type { Hono } from 'hono'
import { AdHocProfileService } from '#platform/gen/adhocprofiles/v1/adhocprofiles_pb.ts'
import { FeatureFlagsService } from '#platform/gen/capabilities/v1/feature_flags_pb.ts'
import { PusherService } from '#platform/gen/push/v1/push_pb.ts'
import { QuerierService } from '#platform/gen/querier/v1/querier_pb.ts'
import { RecordingRulesService } from '#platform/gen/settings/v1/recording_rules_pb.ts'
import { SettingsService } from '#platform/gen/settings/v1/setting_pb.ts'
import { Version } from '#platform/gen/version/v1/version_pb.ts'
import { VERSION } from '#platform/version.ts'

const SERVICES = [
  PusherService,
  QuerierService,
  AdHocProfileService,
  SettingsService,
  RecordingRulesService,
  FeatureFlagsService,
  Version,
]

type Json = Record<string, unknown>

export function mountApiDescription(app: Hono): void {
  let description: Json | undefined
  app.get('/api/swagger.json', () => Response.json((description ??= describeApi(SERVICES))))
}

export function describeApi(services: readonly DescService[]): Json {
  const definitions: Json = {}
  const paths: Json = {}
  for (const service of services) {
    for (const { name, input, output, methodKind } of service.methods) {
      if (methodKind !== 'unary') continue
      paths[`/${service.typeName}/${name}`] = {
        post: {
          operationId: `${service.name}_${name}`,
          tags: [service.name],
          parameters: [{ name: 'body', in: 'body', required: true, schema: messageRef(input, definitions) }],
          responses: {
            '200': { description: 'A successful answer.', schema: messageRef(output, definitions) },
            default: { description: 'What went wrong, as Connect tells it.', schema: { $ref: '#/definitions/Error' } },
          },
        },
      }
    }
  }
  const error = { type: 'object', properties: { code: { type: 'string' }, message: { type: 'string' } } }
  return {
    swagger: '2.0',
    info: { title: 'Cinderblock', version: VERSION },
    consumes: ['application/json'],
    produces: ['application/json'],
    paths,
    definitions: { Error: error, ...definitions },
  }
}

/** Describes the message too, once: messages may hold themselves. */
function messageRef(message: DescMessage, definitions: Json): Json {
  const name = message.typeName
  if (definitions[name] === undefined) {
    const properties: Json = {}
    definitions[name] = { type: 'object', properties }
    for (const field of message.fields) properties[field.jsonName] = fieldSchema(field, definitions)
  }
  return { $ref: `#/definitions/${name}` }
}

function fieldSchema(field: DescField, definitions: Json): Json {
  switch (field.fieldKind) {
    case 'scalar':
      return scalarSchema(field.scalar)
    case 'enum':
      return enumSchema(field.enum)
    case 'message':
      return messageRef(field.message, definitions)
    case 'map':
      return { type: 'object', additionalProperties: valueSchema(field, definitions) }
    case 'list':
      return { type: 'array', items: valueSchema(field, definitions) }
  }
}

function valueSchema({ scalar, enum: values, message }: DescField, definitions: Json): Json {
  if (message !== undefined) return messageRef(message, definitions)
  return values === undefined ? scalarSchema(scalar!) : enumSchema(values)
}

function enumSchema({ values }: DescEnum): Json {
  return { type: 'string', enum: values.map(({ name }) => name) }
}

/** As JSON of protobuf writes them: 64 bits are text. */
function scalarSchema(scalar: ScalarType): Json {
  switch (scalar) {
    case ScalarType.BOOL:
      return { type: 'boolean' }
    case ScalarType.STRING:
      return { type: 'string' }
    case ScalarType.BYTES:
      return { type: 'string', format: 'byte' }
    case ScalarType.DOUBLE:
      return { type: 'number', format: 'double' }
    case ScalarType.FLOAT:
      return { type: 'number', format: 'float' }
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return { type: 'string', format: 'int64' }
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return { type: 'string', format: 'uint64' }
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { type: 'integer', format: 'uint32' }
    default:
      return { type: 'integer', format: 'int32' }
  }
}
