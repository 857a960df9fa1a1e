/** The peers as their packages are. Nothing here is loaded unless `npm ci` was run in this folder. */

/** Each rejects when its package is not installed. */
export const packages = {
  casl: () => import('@casl/ability'),
  casbin: () => import('casbin'),
  cedar: () => import('@cedar-policy/cedar-wasm/nodejs'),
} as const;
