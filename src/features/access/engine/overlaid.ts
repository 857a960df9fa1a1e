/**
 * Which engine answers for a world. An overlay has none of its own, and its base's is right for whomever its changes do
 * not touch; for the others nothing is compiled, since they will be asked about a few times at most.
 */
import type { Kinds } from '#kernel/kind.ts';
import type { World } from '#kernel/world.ts';
import { accountAccess } from './account-access.ts';
import type { Engine } from './engine.ts';
import type { Asker } from '../grants.ts';
import { rightsKinds, sessionKinds, touchedSubjects, touchesEverybody } from './touched.ts';

const touchedKey = Symbol('access touched by an overlay');

/** Null = grants have to be looked at one by one. */
export function engineOf(world: World, kinds: Kinds, asker: Pick<Asker, 'principal'>): Engine | null {
  if (world.base === null) return accountAccess(world).engine(kinds);
  const engine = engineOf(world.base, kinds, asker);
  // A kind that the overlay makes or takes away is in nothing compiled.
  if (engine === null || kinds.of(world) !== engine.vocabulary.kinds) return null;
  const { principal } = asker;
  const isPerson = principal.type === 'user' || principal.type === 'service_account';
  if (!world.changesAny(isPerson ? rightsKinds : sessionKinds)) return engine;
  return isPerson && isUntouched(world, engine, principal) ? engine : null;
}

function isUntouched(overlay: World, engine: Engine, { type, uid }: Asker['principal']): boolean {
  const { everybody, subjects } = touched(overlay);
  return !everybody && !subjects.has(uid) && engine.subjectsOf(type as 'user' | 'service_account', uid).every((subject) => !subjects.has(subject));
}

function touched(overlay: World): { readonly everybody: boolean; readonly subjects: ReadonlySet<string> } {
  return overlay.derive(touchedKey, rightsKinds, () => {
    const base = overlay.base!;
    const { bindings } = accountAccess(rootOf(base));
    const changes = rightsKinds.flatMap((kind) => [...overlay.changesOf(kind)].map(([uid, entry]) => ({ before: base.get(uid), after: entry ?? undefined })));
    const real = changes.filter(({ before, after }) => before !== undefined || after !== undefined);
    return { everybody: real.some((change) => touchesEverybody(change, bindings)), subjects: new Set(real.flatMap(touchedSubjects)) };
  });
}

function rootOf(world: World): World {
  return world.base === null ? world : rootOf(world.base);
}
