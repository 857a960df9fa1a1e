/**
 * Registered instances of external kinds: searches list them, and what is stored of them wins over what a caller says.
 * Those that are not registered can be asked about all the same.
 */
import type { Target } from '#kernel/decision.ts';
import type { FieldError } from '#kernel/errors.ts';
import { nearest } from '#kernel/identifier.ts';
import type { CheckedDraft, Draft, Kind, ResourceTypeFacts } from '#kernel/kind.ts';
import type { Scalar } from '#kernel/matcher.ts';
import { levelOf } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import type { ExternalResourceSpec } from './schema.ts';
import { externalResourceSpec } from './schema.ts';

interface ExternalResourceFacts {
  /** Null when the type is gone. */
  readonly typeUid: string | null;
  readonly id: string;
  readonly attributes: Readonly<Record<string, Scalar>>;
}

export const externalResourceKind: Kind<ExternalResourceSpec> = {
  name: 'external_resource',
  levels: ['account', 'org', 'project'],
  verbs: ['view', 'create', 'edit', 'delete', 'govern'],
  spec: externalResourceSpec,
  version: 1,
  facts: factsOf,
  check: (draft, after) => [...typeFaults(draft, after), ...twinFaults(draft, after)],
};

/** The resource an entry registers, as the engine sees it; null for other entries and when its type is gone. */
export function externalTarget(world: World, entry: Entry): Target | null {
  if (entry.kind !== 'external_resource') return null;
  const { typeUid, id, attributes } = entry.facts as ExternalResourceFacts;
  const type = typeUid === null ? undefined : world.get(typeUid);
  return type === undefined ? null : { kind: type.identifier, scope: entry.scope, identifier: id, tags: entry.tags, attributes };
}

const registeredKey = Symbol('registered external resources');

/** The registered instance of this kind, scope and id. */
export function registeredResource(world: World, kind: string, scope: ScopePath, id: string): Entry | undefined {
  return registered(world).get(keyOf(kind, scope, id));
}

function registered(world: World): ReadonlyMap<string, Entry> {
  return world.derive(registeredKey, ['external_resource', 'resource_type'], (from) => {
    const found = new Map<string, Entry>();
    for (const entry of from.list('external_resource')) {
      const target = externalTarget(from, entry);
      if (target !== null) found.set(keyOf(target.kind, target.scope, target.identifier!), entry);
    }
    return found;
  });
}

function keyOf(kind: string, scope: ScopePath, id: string): string {
  return `${kind}\n${scope}\n${id}`;
}

function factsOf({ spec, refs }: Draft<ExternalResourceSpec>): ExternalResourceFacts {
  return { typeUid: refs('/type') ?? null, id: spec.id, attributes: spec.attributes ?? {} };
}

function typeFaults({ scope, spec, refs }: CheckedDraft<ExternalResourceSpec>, after: World): FieldError[] {
  const noun = (after.get(refs('/type') ?? '')?.facts as ResourceTypeFacts | undefined)?.noun;
  if (noun === undefined) return [];
  const declared = noun.external ?? {};
  const misplaced = noun.levels.includes(levelOf(scope)) ? [] : [{ pointer: '/type', message: `\`${noun.name}\` does not exist at the level \`${levelOf(scope)}\`` }];
  const wrong = Object.entries(spec.attributes ?? {}).flatMap(([name, value]): FieldError[] => {
    const pointer = `/attributes/${name}`;
    if (!Object.hasOwn(declared, name)) {
      const suggestion = nearest(name, Object.keys(declared));
      return [{ pointer, message: `\`${name}\` is no attribute of \`${noun.name}\``, ...(suggestion === undefined ? {} : { suggestion }) }];
    }
    return typeof value === declared[name] ? [] : [{ pointer, message: `must be a ${declared[name]}` }];
  });
  return [...misplaced, ...wrong];
}

/** Two that say different things of one resource would leave the answer to chance. */
function twinFaults({ scope, identifier, spec, refs }: CheckedDraft<ExternalResourceSpec>, after: World): FieldError[] {
  const typeUid = refs('/type');
  for (const other of after.list('external_resource', scope)) {
    const facts = other.facts as ExternalResourceFacts;
    if (facts.typeUid !== typeUid || facts.id !== spec.id || other.identifier === identifier) continue;
    return [{ pointer: '/id', message: `\`${spec.id}\` is registered already, as \`${other.identifier}\`` }];
  }
  return [];
}
