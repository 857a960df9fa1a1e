/** What counts as granting (CONTRACTS §5): somebody who may edit everything and lacks what is granted, row by row. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { collectionOf } from '#kernel/kind.ts';
import type { RemoteAnswer } from '#platform/remote.ts';
import { startTestServer } from '#test/server.ts';
import { problem } from './answers.ts';
import { auditMark, told } from './audit-rows.ts';
import type { Applied, Asked } from './escalation-rows.ts';
import { rows } from './escalation-rows.ts';
import type { Document, Peopled } from './escalation-world.ts';
import { applyAs, leftBehind, peopled } from './escalation-world.ts';

/** Where attempts are made in vain, and a twin where those who hold it do the same. */
let place: Peopled;
let twin: Peopled;

before(async () => {
  const server = await startTestServer();
  place = await peopled(server, 'guarded');
  twin = await peopled(server, 'granted');
});

function snake(kind: string): string {
  return kind.replaceAll(/(?<=.)([A-Z])/g, '_$1').toLowerCase();
}

function collectionPath(at: Peopled, { kind, scope }: Document): string {
  const [org, project] = scope === undefined ? [] : String(scope).split('/');
  return `${at.api}${org === undefined ? '' : `/orgs/${org}`}${project === undefined ? '' : `/projects/${project}`}/${collectionOf(snake(String(kind)))}`;
}

/** The same through the endpoints of the kind: the update of what is there, else its creation. */
async function byItself(at: Peopled, document: Document, token: string): Promise<{ answer: RemoteAnswer; action: string }> {
  const { kind, scope: _scope, identifier, ...body } = document;
  const collection = collectionPath(at, document);
  const there = await at.server.call({ method: 'GET', path: `${collection}/${String(identifier)}`, token: at.adminToken });
  const answer = there.status === 200
    ? await at.server.call({ method: 'PUT', path: `${collection}/${String(identifier)}`, body, token })
    : await at.server.call({ method: 'POST', path: collection, body: { identifier, ...body }, token });
  return { answer, action: `${snake(String(kind))}.${there.status === 200 ? 'update' : 'create'}` };
}

/** Refused with this code, nothing written, one refusal in the audit and no other row. */
async function refused(ask: () => Promise<{ answer: RemoteAnswer; action: string }>): Promise<ReturnType<typeof problem>> {
  const [since, left] = [await auditMark(place.server), await leftBehind(place)];
  const { answer, action } = await ask();
  const body = problem(answer, 403, 'access.escalation');
  assert.equal(body.detail, undefined, 'bindings are named only to who may explain');
  assert.deepEqual(told(await since()).map(({ action: act, outcome, actor }) => ({ act, outcome, actor })), [{ act: action, outcome: 'refused', actor: 'user:clerk' }]);
  assert.deepEqual(await leftBehind(place), left);
  return body;
}

async function refusedEverywhere({ documents, at, document = 0 }: Applied): Promise<void> {
  for (const door of ['apply', 'plan'] as const) {
    const { errors } = await refused(async () => ({ answer: await applyAs(place, documents, place.clerk, {}, door), action: `manifest.${door}` }));
    assert.deepEqual(errors?.map(({ document: which, pointer }) => ({ which, pointer })), [{ which: document, pointer: at }]);
  }
  if (documents.length > 1) return;
  const { errors } = await refused(() => byItself(place, documents[0]!, place.clerk));
  assert.deepEqual(errors?.map(({ pointer }) => pointer), [at]);
}

async function succeeds(attempt: Applied | Asked): Promise<void> {
  const token = attempt.held === 'admin' ? twin.deputy : twin.holder;
  const answer = 'ask' in attempt ? await attempt.ask(twin, token) : await applyAs(twin, attempt.documents, token);
  assert.ok(answer.status === 200 || answer.status === 201, JSON.stringify(answer.body));
}

for (const { write, attempts } of rows) {
  describe(`who may edit it and does not hold what it gives is refused: ${write}`, () => {
    for (const attempt of attempts) {
      test(attempt.how, async () => {
        if ('ask' in attempt) await refused(async () => ({ answer: await attempt.ask(place, place.clerk), action: attempt.action }));
        else await refusedEverywhere(attempt);
        await succeeds(attempt);
      });
    }
  });
}
