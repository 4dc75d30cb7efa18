/** A tenant as one part of an object key: keys take fewer characters than tenants do. */

/** `_` stands before two hexadecimal digits, and for nothing else, so that different tenants have different parts. */
export function tenantKeyPart(tenant: string): string {
  return tenant.replace(/[^0-9A-Za-z.-]/g, (char) => `_${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
