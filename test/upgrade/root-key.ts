import { createHash } from 'node:crypto';

/** The root key of every dump in this folder: no secret, since the dumps hold none. */
export const upgradeRootKey = `sallyport-root-key-v1:${createHash('sha256').update('root key of the dumps of old releases').digest('base64url')}\n`;
