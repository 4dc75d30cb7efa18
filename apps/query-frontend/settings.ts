/**
 * `settings.v1`: texts that Grafana's apps keep for a tenant (which view is collapsed, how many nodes are shown). Checked
 * here, kept by the metastore.
 */
import type { Hono } from 'hono'
import { CinderError, invalidArgument } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { TenantSetting, TenantSettings } from '#core/rpc/tenant-settings.ts'
import { type ConnectServerOptions, mountService, type tenantsOf } from '#platform/connect/server.ts'
import { SettingsService } from '#platform/gen/settings/v1/setting_pb.ts'
import { type RequestContext, singleTenantOf } from './request.ts'

export interface SettingsDeps {
  readonly clock: Pick<Clock, 'nowMs'>
  /** Absent: this process cannot reach them. */
  readonly tenantSettings?: TenantSettings | undefined
}

/** Apps keep a handful of names; a hundred leaves room for all of theirs. */
const SETTINGS_PER_TENANT_MAX = 100
/** As label names. */
const NAME_BYTES_MAX = 1_024
/** 64 KiB: settings are small JSON; a hundred of these a tenant are read at once. */
const VALUE_BYTES_MAX = 64 * 1_024

type CallContext = Parameters<typeof tenantsOf>[0]

export function mountTenantSettings(
  app: Hono,
  deps: SettingsDeps,
  options: ConnectServerOptions,
  contextOf: (call: CallContext) => RequestContext,
): void {
  const tenantOf = (call: CallContext) => singleTenantOf(contextOf(call).tenants)
  mountService(
    app,
    SettingsService,
    {
      async get(_, call) {
        const tenant = tenantOf(call)
        const { settings } = await storeOf(deps).listSettings({ tenant })
        return { settings: settings.map(toMessage) }
      },
      async set({ setting }, call) {
        const tenant = tenantOf(call)
        if (setting === undefined) throw invalidArgument('no setting values provided')
        const modifiedAtMs = Number(setting.modifiedAt) || deps.clock.nowMs()
        const checked = { name: checkName(setting.name), value: checkValue(setting.value), modifiedAtMs }
        return { setting: toMessage(await store(storeOf(deps), tenant, checked)) }
      },
      async delete({ name }, call) {
        const tenant = tenantOf(call)
        await storeOf(deps).deleteSetting({ tenant, name: checkName(name) })
        return {}
      },
    },
    options,
  )
}

async function store(settings: TenantSettings, tenant: string, setting: TenantSetting): Promise<TenantSetting> {
  const stored = await settings.setSetting({ tenant, setting, settingsMax: SETTINGS_PER_TENANT_MAX })
  if (stored.verdict === 'stored' && stored.setting !== undefined) return stored.setting
  if (stored.verdict === 'full') {
    const message = `tenant ${tenant} has ${SETTINGS_PER_TENANT_MAX} settings, the limit: delete one first`
    throw new CinderError('resource_exhausted', message, { reason: 'settings' })
  }
  const message = `setting ${setting.name} was changed at ${stored.setting?.modifiedAtMs ?? 0}, which is later than ${setting.modifiedAtMs}: read it again`
  throw new CinderError('already_exists', message, { reason: 'setting_newer' })
}

function checkName(name: string): string {
  if (name === '') throw invalidArgument('setting name is required')
  return checkText('name', name, NAME_BYTES_MAX)
}

function checkValue(value: string): string {
  return checkText('value', value, VALUE_BYTES_MAX)
}

const encoder = new TextEncoder()

function checkText(what: string, text: string, bytesMax: number): string {
  const sizeBytes = encoder.encode(text).length
  if (sizeBytes > bytesMax) {
    throw invalidArgument(`the ${what} of the setting has ${sizeBytes} bytes, ${bytesMax} are allowed`)
  }
  // Postgres has no such character in a text.
  if (text.includes('\0')) throw invalidArgument(`the ${what} of the setting has a NUL`)
  return text
}

function toMessage({ name, value, modifiedAtMs }: TenantSetting) {
  return { name, value, modifiedAt: BigInt(modifiedAtMs) }
}

function storeOf({ tenantSettings }: SettingsDeps): TenantSettings {
  if (tenantSettings !== undefined) return tenantSettings
  throw new CinderError('unimplemented', 'settings cannot be kept by this server', { reason: 'no_settings' })
}
