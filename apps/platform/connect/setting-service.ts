/** Settings of tenants by Connect, both sides. */
import type { Hono } from 'hono'
import { invalidArgument } from '#core/errors.ts'
import type { TenantSettings } from '#core/rpc/tenant-settings.ts'
import { TenantSettingService } from '../gen/cinder/v1/tenant_settings_pb.ts'
import { type ConnectClientOptions, createUnaryCall } from './client.ts'
import { mountService } from './server.ts'
import type { InternalServerOptions } from './services.ts'

export function createSettingsClient(url: string, options?: ConnectClientOptions): TenantSettings {
  const call = createUnaryCall(url, options)
  const { method } = TenantSettingService
  return {
    listSettings: (request) => call(method.listSettings, request),
    setSetting: (request) => call(method.setSetting, request),
    deleteSetting: (request) => call(method.deleteSetting, request),
  }
}

export function mountSettings(app: Hono, settings: TenantSettings, options: InternalServerOptions): void {
  mountService(
    app,
    TenantSettingService,
    {
      listSettings: (request) => settings.listSettings(request),
      setSetting({ tenant, setting, settingsMax }) {
        if (setting === undefined) throw invalidArgument('the request has no setting')
        return settings.setSetting({ tenant, setting, settingsMax })
      },
      deleteSetting: (request) => settings.deleteSetting(request),
    },
    { ...options, errorDetails: true },
  )
}
