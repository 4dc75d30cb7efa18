/**
 * Profiles that people upload to look at, without storing them with the rest. Shapes equal the messages of
 * `apps/platform/proto/cinder/v1/adhoc.proto`. Kept in the object store for a while, one object each.
 */

export interface AdhocProfile {
  /** `<ULID>-<name>`. */
  id: string
  /** Of the file, made safe. */
  name: string
  uploadedAtMs: number
}

export interface PutProfileRequest {
  tenant: string
  name: string
  /** As it was uploaded. */
  body: Uint8Array
}

export interface PutProfileResponse {
  id: string
  uploadedAtMs: number
}

export interface GetProfileRequest {
  tenant: string
  id: string
}

export interface GetProfileResponse {
  name: string
  uploadedAtMs: number
  body: Uint8Array
}

export interface ListProfilesRequest {
  tenant: string
}

export interface ListProfilesResponse {
  /** The newest first. */
  profiles: AdhocProfile[]
}

export interface AdhocStore {
  /** Fails with `resource_exhausted` if the tenant has as many as it may. */
  putProfile(request: PutProfileRequest): Promise<PutProfileResponse>
  /** Fails with `not_found`, also once it has expired, and with `invalid_argument` if the id cannot be one. */
  getProfile(request: GetProfileRequest): Promise<GetProfileResponse>
  listProfiles(request: ListProfilesRequest): Promise<ListProfilesResponse>
}
