/**
 * Settings that user interfaces keep for a tenant, as the metastore stores them: texts by name, of which nothing here
 * knows the meaning. Shapes equal the messages of `apps/platform/proto/cinder/v1/tenant_settings.proto`.
 */
export interface TenantSetting {
  name: string
  value: string
  /** Whoever writes an older one than is stored is refused. */
  modifiedAtMs: number
}

export interface ListSettingsRequest {
  tenant: string
}

export interface ListSettingsResponse {
  /** By name. */
  settings: TenantSetting[]
}

export interface SetSettingRequest {
  tenant: string
  setting: TenantSetting
  /** New names past it are refused. */
  settingsMax: number
}

export interface SetSettingResponse {
  /** `stored`; `conflict`: what is stored is newer; `full`. */
  verdict: string
  /** As it is now; absent if it is not there. */
  setting?: TenantSetting | undefined
}

export interface DeleteSettingRequest {
  tenant: string
  name: string
}

export interface DeleteSettingResponse {
  found: boolean
}

export interface TenantSettings {
  listSettings(request: ListSettingsRequest): Promise<ListSettingsResponse>
  setSetting(request: SetSettingRequest): Promise<SetSettingResponse>
  deleteSetting(request: DeleteSettingRequest): Promise<DeleteSettingResponse>
}
