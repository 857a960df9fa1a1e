/** Seeded questions to a world: about 55 % are answered yes, the others come near or not. */
import type { Asker } from '#features/access/feature.ts';
import type { Selector } from '#kernel/caller.ts';
import type { Question, Target } from '#kernel/decision.ts';
import type { MatcherSpec } from '#kernel/matcher.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { accountScope, contains, levelOf, parentOf } from '#kernel/scope.ts';
import type { AccessWorld } from '../access-world.ts';
import { namesPerKind, stages, teams, types } from '../access-world.ts';
import { nouns, permissionsOf } from './nouns.ts';
import type { BindingRecord, PrincipalRecord, ResourceGroupRecord, RoleRecord } from './records.ts';
import { rangesSeenFrom } from './records.ts';
import { Seeded } from './seeded.ts';

/** What every engine is given. */
export interface Ask {
  readonly asker: Asker;
  readonly question: Question;
}

export interface QuestionPlan {
  readonly count: number;
  readonly seed?: number;
  /** Asked by this many principals only, for engines that need much memory for each. */
  readonly principals?: number;
}

/** So many different questions. Their texts are no object of the world, so every engine has to look them up. */
export function questionsOf(world: AccessWorld, { count, seed = 1, principals = world.principals.length }: QuestionPlan): Ask[] {
  const writer = new QuestionWriter(world);
  const step = Math.max(1, Math.floor(world.principals.length / principals));
  const found = new Map<string, string>();
  for (let n = 0; found.size < count; n += 1) {
    const next = new Seeded(seed, 20, n);
    const question = writer.write(next.below(principals) * step, next);
    const text = JSON.stringify(question);
    found.set(text, text);
  }
  return [...found.values()].map((text) => JSON.parse(text) as Ask);
}

const shareFitting = 0.47;
const shareNear = 0.23;

class QuestionWriter {
  readonly #world: AccessWorld;
  readonly #roles: ReadonlyMap<string, RoleRecord>;
  readonly #groups: ReadonlyMap<string, ResourceGroupRecord>;

  constructor(world: AccessWorld) {
    this.#world = world;
    this.#roles = new Map(world.roles.map((role) => [role.uid, role]));
    this.#groups = new Map(world.resourceGroups.map((group) => [group.uid, group]));
  }

  write(principal: number, next: Seeded): Ask {
    const wish = next.next();
    const fitting = wish < shareFitting + shareNear ? this.#fitting(principal, next) : null;
    const question = fitting === null ? this.#anything(next) : wish < shareFitting ? fitting : this.#near(fitting, next);
    return { asker: askerOf(this.#world.accountId, this.#world.principals[principal]!), question };
  }

  /** Something one of the principal's bindings gives; null when a few tries found none. */
  #fitting(principal: number, next: Seeded): Question | null {
    const bindings = this.#world.bindingsOf(principal);
    for (let tries = 0; tries < 6 && bindings.length > 0; tries += 1) {
      const binding = this.#world.binding(next.pick(bindings));
      if (binding.disabled) continue;
      const question = this.#givenBy(binding, next);
      if (question !== null) return question;
    }
    return null;
  }

  #givenBy(binding: BindingRecord, next: Seeded): Question | null {
    const group = this.#groups.get(binding.resourceGroupUid)!;
    const permission = next.pick(this.#roles.get(binding.roleUid)!.permissions);
    const kind = permission.slice(0, permission.indexOf('.'));
    const selector = group.resources === 'all' ? { type: kind } : group.resources.find(({ type }) => type === kind);
    if (selector === undefined) return null;
    const scopes = rangesSeenFrom(group, binding.scope, levelOf(binding.scope)).flatMap((range) => {
      const inner = contains(binding.scope, range.scope) ? range.scope : contains(range.scope, binding.scope) && range.includeChildScopes ? binding.scope : null;
      return inner === null ? [] : [range.includeChildScopes && next.chance(0.8) ? this.#below(inner, next) : inner];
    });
    if (scopes.length === 0) return null;
    const target = targetIn(next.pick(scopes), kind, selector, next);
    return target === null ? null : { permission, target };
  }

  /** The same with one thing changed. */
  #near({ permission, target }: Question, next: Seeded): Question {
    switch (next.below(4)) {
      case 0:
        return { permission: next.pick(permissionsOf(nouns.find(({ name }) => name === target.kind)!)), target };
      case 1:
        return { permission, target: { ...target, identifier: next.chance(0.1) ? null : nameOf(target.kind, next) } };
      case 2:
        return { permission, target: { ...target, ...traits(next) } };
      default:
        return { permission, target: { ...target, scope: levelOf(target.scope) === 'project' ? this.#world.projectIn(next.below(this.#world.shape.orgs), next) : target.scope } };
    }
  }

  /** Mostly about what nobody knows to be the principal's; now and then about what nobody knows. */
  #anything(next: Seeded): Question {
    const noun = next.pick(nouns);
    const permission = next.chance(0.02) ? `${noun.name}.fly` : next.pick(permissionsOf(next.chance(0.02) ? next.pick(nouns) : noun));
    const deep = this.#below(accountScope, next);
    const level = next.pick(noun.levels);
    const scope = level === 'project' ? deep : level === 'org' ? parentOf(deep)! : accountScope;
    return { permission, target: { kind: noun.name, scope: next.chance(0.01) ? 'nowhere' : scope, identifier: nameOf(noun.name, next), ...traits(next) } };
  }

  /** A project at or below the scope. */
  #below(scope: ScopePath, next: Seeded): ScopePath {
    if (levelOf(scope) === 'project') return scope;
    const org = scope === accountScope ? next.below(this.#world.shape.orgs) : Number(scope.slice('org'.length));
    return this.#world.projectIn(org, next);
  }
}

function askerOf(accountId: string, { type, uid, scope, identifier }: PrincipalRecord): Asker {
  return { accountId, principal: { type, uid, path: scope === accountScope ? identifier : `${scope}/${identifier}` }, bounds: 'principal' };
}

/** A resource of the kind at the scope, or where its kind lives above it; organizations and projects are asked about in themselves. */
function targetIn(scope: ScopePath, kind: string, selector: Selector, next: Seeded): Target | null {
  if (kind === 'organization' || kind === 'project') {
    const path = kind === 'organization' && levelOf(scope) === 'project' ? parentOf(scope)! : scope;
    if (levelOf(path) !== (kind === 'project' ? 'project' : 'org')) return null;
    return { kind, scope: parentOf(path)!, identifier: path.slice(path.lastIndexOf('/') + 1), ...traits(next) };
  }
  const levels = nouns.find(({ name }) => name === kind)!.levels;
  if (!levels.includes(levelOf(scope))) return null;
  const identifier = selector.identifiers === undefined ? nameOf(kind, next) : next.pick(selector.identifiers);
  const target = { kind, scope, identifier, ...traits(next) };
  for (const [key, spec] of Object.entries(selector.where ?? {})) {
    const value = String(valueOf(spec, next));
    if (key === 'type') target.attributes = { type: value };
    else target.tags = { ...target.tags, [key.slice('tags.'.length)]: value };
  }
  return target;
}

function valueOf(spec: MatcherSpec, next: Seeded): unknown {
  return 'equals' in spec ? spec.equals : 'oneOf' in spec ? next.pick(spec.oneOf) : undefined;
}

function nameOf(kind: string, next: Seeded): string {
  return `${kind}${next.below(namesPerKind)}`;
}

/** One in ten has no team: a missing value is matched by nothing. */
function traits(next: Seeded): { tags: Record<string, string>; attributes: Record<string, string> } {
  const team = next.chance(0.9) ? { team: next.pick(teams) } : {};
  return { tags: { ...team, stage: next.pick(stages) }, attributes: { type: next.pick(types) } };
}
