/** Whom a question is about: a principal as it would call without any bound, or a live session. */
import type { Asker } from '#features/access/feature.ts';
import { refusal } from '#kernel/errors.ts';
import { parseResourcePath } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { Call } from '#platform/call.ts';

export interface AskerServices {
  /** Null when the session is unknown, over, revoked or dead. */
  readonly liveSession: (accountId: string, sessionId: string, now: Date) => Promise<Asker | null>;
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Null = nobody the account knows: every answer is no. Refuses, at `pointer`, what names no principal. */
export async function askerNamed(services: AskerServices, call: Call, text: string, pointer = '/principal'): Promise<Asker | null> {
  const colon = text.indexOf(':');
  const [type, name] = [text.slice(0, colon), text.slice(colon + 1)];
  if (type === 'session' && uuid.test(name)) return services.liveSession(call.account.id, name, call.now);
  if ((type === 'user' || type === 'service_account') && parseResourcePath(name) !== null) return personNamed(call.world, type, name);
  throw refusal('request.invalid', { errors: [{ pointer, message: 'must be `user:alice`, `service_account:payments/ci` or `session:ID`' }] });
}

/** By path; null when there is none. */
export function personNamed(world: World, type: 'user' | 'service_account', path: string): Asker | null {
  const place = parseResourcePath(path);
  const entry = place === null ? undefined : world.find(type, place.scope, place.identifier);
  return entry === undefined ? null : { accountId: world.accountId, principal: { type, uid: entry.uid, path: entryPath(entry) }, bounds: 'principal' };
}
