/**
 * Properties behind the escalation table: what is held is had, and whatever a change gives anybody is among the things
 * its maker must hold.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { changeOf } from '#test/cases/changes.ts';
import { randomBound, randomChange, randomQuestion, randomWorld, sessionClaims } from '#test/cases/random-world.ts';
import { testKinds } from '#test/cases/stand-ins.ts';
import { askerOf, accountId, buildWorld } from '#test/cases/world.ts';
import { runs } from '#test/mode.ts';
import { seed } from '#test/seed.ts';
import type { Manifest } from '#features/resources/schema.ts';
import type { Bound } from '#kernel/caller.ts';
import type { Question, Target } from '#kernel/decision.ts';
import type { World } from '#kernel/world.ts';
import { evaluate } from './evaluate.ts';
import { governedGives } from './govern.ts';
import { holds } from './holds.ts';

const now = '2026-06-01T12:00:00Z';
const questions = fc.array(randomQuestion, { minLength: 40, maxLength: 40 });
const sessions = Object.fromEntries(Object.entries(sessionClaims).map(([name, claims]) => [name, { issuer: 'hcp', claims }]));

function built(documents: readonly Manifest[]) {
  return buildWorld({ world: [...documents], sessions, later: { apply: [], delete: [] }, now }, testKinds);
}

/** What a bound gives somebody who may do everything else; conditions of it are ignored. */
function isGiven(world: World, bound: Bound, question: Question): boolean {
  const { resources } = bound.extent;
  const bare = resources === 'all' ? resources : resources.map(({ type, identifiers }) => ({ type, identifiers }));
  const bounds = [{ ...bound, extent: { ...bound.extent, resources: bare } }];
  const bootstrap = { accountId, bounds, principal: { type: 'system', uid: 'bootstrap', path: 'bootstrap' } } as const;
  return evaluate(world, testKinds, bootstrap, question, new Date(now)).allowed;
}

/** The same group or mapping, selecting by conditions alone. */
function conditional(document: Manifest, i: number): Manifest {
  const where = (spec: object) => ({ where: { 'tags.team': spec } });
  const chosen = [
    where({ equals: 'core' }), where({ equalsClaim: '/team' }), where({ glob: 'c*' }), where({ oneOf: ['core', 'edge'] }),
    { condition: 'resource.tags.team != "edge"' }, { condition: 'resource.tags.team == principal.claims.team' }, { condition: '!has(resource.tags.team) || resource.tags.team == "core"' },
    { condition: 'resource.tags.exists(key, resource.tags[key] in ["core", "edge"]) && principal.type != "system"' },
  ][i % 8]!;
  const resources = ['pipeline', 'secret', 'environment', 'project'].map((type) => ({ type, ...chosen }));
  const { grants, ...spec } = document.spec as { grants?: object[] };
  if (document.kind === 'ClaimMapping') return { ...document, spec: { ...spec, grants: grants!.map((grant) => ({ ...grant, resources })) } };
  if (document.kind !== 'ResourceGroup') return document;
  const { all: _, ...rest } = spec as { all?: true };
  return { ...document, spec: { ...rest, resources } };
}

it(`what is held is had (seed ${seed})`, () => {
  let compared = 0;
  fc.assert(
    fc.property(randomWorld, fc.array(randomBound, { minLength: 12, maxLength: 12 }), questions, ({ documents }, bounds, list) => {
      const { world, ...rest } = built(documents);
      for (const { who, bounds: within, ...question } of list) {
        const asker = { ...askerOf({ world, ...rest }, { who }), bounds: within };
        for (const bound of bounds.filter((given) => isGiven(world, given, question))) {
          if (!holds(world, testKinds, asker, bound, new Date(now))) continue;
          compared += 1;
          assert.ok(evaluate(world, testKinds, asker, question, new Date(now)).allowed, JSON.stringify({ who, within, bound, question }));
        }
      }
    }),
    { seed, numRuns: runs(60, 5_000) },
  );
  assert.ok(compared > 50, `only ${compared} times was anything held`);
});

it(`whatever a change of access gives is asked of its maker (seed ${seed})`, () => {
  let gained = 0;
  fc.assert(
    fc.property(randomChange, questions, ({ documents, apply }, list) => {
      const before = built(documents);
      const { after, given } = changeOf(before.world, testKinds, apply);
      for (const { who, permission, target } of list) {
        const asker = askerOf(before, { who });
        const [was, is] = [before.world, after].map((world) => evaluate(world, testKinds, asker, { permission, target }, before.now).allowed);
        if (was || !is) continue;
        gained += 1;
        assert.ok(given.some(({ bound }) => isGiven(after, bound, { permission, target })), JSON.stringify({ who, permission, target }));
      }
    }),
    { seed, numRuns: runs(120, 10_000) },
  );
  assert.ok(gained > 50, `only ${gained} times was anything gained`);
});

it(`whatever new tags or attributes give is asked of their maker (seed ${seed})`, () => {
  let gained = 0;
  fc.assert(
    fc.property(randomWorld, questions, fc.boolean(), ({ documents }, list, isNew) => {
      const { world, ...rest } = built(documents.map(conditional));
      for (const { who, permission, target } of list) {
        if (target.identifier === null) continue;
        const asker = askerOf({ world, ...rest }, { who });
        const plain: Target = { ...target, tags: isNew ? {} : { team: 'edge' }, attributes: {} };
        const [was, is] = [plain, target].map((one) => evaluate(world, testKinds, asker, { permission, target: one }, rest.now).allowed);
        if (was || !is) continue;
        gained += 1;
        const entry = (one: Target) => ({ ...one, identifier: one.identifier!, uid: 'u', name: null, version: 1, facts: undefined });
        const given = governedGives(isNew ? null : entry(plain), entry(target), world, testKinds);
        assert.ok(given.some(({ bound }) => isGiven(world, bound, { permission, target })), JSON.stringify({ who, permission, target }));
      }
    }),
    { seed, numRuns: runs(150, 10_000) },
  );
  assert.ok(gained > 20, `only ${gained} times was anything gained`);
});
