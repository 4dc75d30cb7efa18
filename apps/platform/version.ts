/** The product's version: one place, because the edge bundles have no package.json beside them. */
export const VERSION = '0.1.0'
