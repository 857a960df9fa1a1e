/** Recognises session tokens. A session none of whose mappings grants anything now is dead, and nobody is calling. */
import type { Snapshots } from '#features/resources/feature.ts';
import type { Caller } from '#kernel/caller.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { Recogniser } from '#kernel/manifest.ts';
import type { HolderServices } from './holder.ts';
import { checkHolder } from './holder.ts';
import type { SessionTokens } from './session-token.ts';
import type { Sessions } from './sessions.ts';
import type { SessionInForce } from './standing.ts';
import { callerOf, standingOf } from './standing.ts';

export interface LiveServices {
  readonly snapshots: Snapshots;
  readonly kinds: Kinds;
  readonly sessions: Sessions;
}

export function sessionRecogniser(services: LiveServices & HolderServices & { readonly tokens: SessionTokens }): Recogniser {
  return {
    name: 'session',
    matches: (token) => services.tokens.isOurs(token),
    knowsSchemes: true,
    async authenticate({ accountId, token, now, possession }) {
      const id = await services.tokens.verify(accountId, token, now);
      const live = id === null ? null : await liveSession(services, accountId, id, now);
      if (live === null) return null;
      await checkHolder(services, live.session.confirmation, { accountId, token, now, possession });
      return live.caller;
    },
    again: async ({ accountId, kind, id, now }) => (kind === 'session' ? (await liveSession(services, accountId, id, now))?.caller ?? null : null),
  };
}

/** The session and who calls with it, decided on the facts of now; null when it is unknown, over, revoked or dead. */
export async function liveSession(services: LiveServices, accountId: string, sessionId: string, now: Date): Promise<(SessionInForce & { readonly caller: Caller }) | null> {
  const inForce = await services.sessions.find(accountId, sessionId, now);
  if (inForce === null) return null;
  const standing = standingOf(await services.snapshots.world(accountId), services.kinds, inForce, now);
  return standing.lives ? { ...inForce, caller: callerOf(inForce, standing.mayAdminister) } : null;
}
