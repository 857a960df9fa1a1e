/** The engine against an evaluator written from the contract alone, on random worlds. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { evaluate } from '#features/access/feature.ts';
import type { Manifest } from '#features/resources/schema.ts';
import { resourcePath } from '#kernel/scope.ts';
import { runs } from '../mode.ts';
import { seed } from '../seed.ts';
import type { NaiveGrant, NaiveSession } from './naive.ts';
import { naiveAllows } from './naive.ts';
import type { RandomWorld } from './random-world.ts';
import { key, randomQuestion, randomWorld, sessionClaims } from './random-world.ts';
import { testKinds } from './stand-ins.ts';
import { askerOf, buildWorld, uidOf } from './world.ts';

const now = '2026-06-01T12:00:00Z';
const questionsPerWorld = 50;

it(`answers as the contract read naively does (seed ${seed})`, () => {
  let allowed = 0;
  let asked = 0;
  const questions = fc.array(randomQuestion, { minLength: questionsPerWorld, maxLength: questionsPerWorld });
  fc.assert(
    fc.property(randomWorld, questions, (random, list) => {
      const sessions = Object.fromEntries(Object.entries(sessionClaims).map(([name, claims]) => [name, { issuer: 'hcp', claims }]));
      const later = { apply: [...random.later], delete: random.gone.map((i) => uidOfDocument(random.documents[i]!)) };
      const built = buildWorld({ world: [...random.documents], sessions, later, now }, testKinds);
      const documents = present(random);
      for (const question of list) {
        const { who, bounds, permission, target } = question;
        const decision = evaluate(built.world, testKinds, { ...askerOf(built, { who }), bounds }, { permission, target }, built.now);
        const session = who.startsWith('session:') ? naiveSession(random, who.slice('session:'.length)) : undefined;
        const naive = naiveAllows({ documents, kinds: testKinds, who, session, bounds, permission, target, now: built.now });
        assert.equal(decision.allowed, naive, JSON.stringify({ question, decision }));
        assert.ok(decision.reasons.length >= 1 && decision.reasons.length <= 20, 'every answer has reasons, and not too many');
        assert.equal(decision.allowed, decision.reasons[0]!.code === 'allowed');
        asked += 1;
        allowed += naive ? 1 : 0;
      }
    }),
    { seed, numRuns: runs(400, 20_000) },
  );
  // A generator that only makes questions with one answer would prove nothing.
  assert.ok(allowed > asked / 50 && allowed < asked / 2, `${allowed} of ${asked} were allowed`);
});

function present(random: RandomWorld): Manifest[] {
  const replaced = new Map(random.later.map((document) => [key(document), document]));
  return random.documents.filter((_, i) => !random.gone.includes(i)).map((document) => replaced.get(key(document)) ?? document);
}

function naiveSession(random: RandomWorld, name: string): NaiveSession {
  const claims = sessionClaims[name]!;
  const recorded = random.documents.flatMap((mapping) => {
    if (mapping.kind !== 'ClaimMapping') return [];
    const spec = mapping.spec as { issuer: string; when: { claim: string; equals: string }[]; grants: NaiveGrant[] };
    const matches = spec.issuer.split('.').at(-1) === 'hcp' && spec.when.every(({ equals }) => claims['ws'] === equals);
    return matches ? [{ mapping, grants: spec.grants }] : [];
  });
  return { issuer: 'hcp', claims, recorded };
}

function uidOfDocument(document: Manifest): string {
  return uidOf(testKinds.byManifest(document.kind)!.name, resourcePath(document.scope ?? '/', document.identifier));
}
