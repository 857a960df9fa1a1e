/** The AuthZEN client of `examples/todo` against decision points that are broken: only a plain `true` allows. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { before, beforeEach, describe, test } from 'node:test';
import { atEnd } from '#test/endings.ts';
import { DecisionPoint, NoAnswer } from '../../examples/todo/decision-point.ts';

type Reply = (response: ServerResponse, request: IncomingMessage) => void;

const json = (body: unknown, status = 200): Reply => (response) => void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
const hang: Reply = () => undefined;
const reset: Reply = (_response, request) => void request.socket.resetAndDestroy();

let origin: string;
let metadata: Reply;
let answer: Reply;
/** Requests to the endpoints, with their token. */
const asked: string[] = [];
const patienceMs = 400;

const honest = (): Record<string, string> => Object.fromEntries([
  ['policy_decision_point', `${origin}/accounts/default`],
  ...['access_evaluation_endpoint', 'access_evaluations_endpoint', 'search_resource_endpoint'].map((name) => [name, `${origin}/ask`]),
]);

before(async () => {
  const server = createServer((request, response) => {
    if (request.url === '/.well-known/authzen-configuration/accounts/default') return metadata(response, request);
    asked.push(`${request.url} ${request.headers.authorization}`);
    return answer(response, request);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  atEnd(async () => {
    server.closeAllConnections();
    server.close();
  });
});

beforeEach(() => {
  asked.length = 0;
  metadata = json(honest());
  answer = json({ decision: true });
});

const point = (): DecisionPoint => new DecisionPoint({ url: `${origin}/accounts/default`, token: 'secret', patienceMs });
const question = { subject: { type: 'user', id: 'ed' }, action: { name: 'edit' }, resource: { type: 'todo', id: 'milk' } };
const allows = (): Promise<boolean> => point().allows(question, 'r');
const each = (): Promise<boolean[]> => point().allowsEach({}, [question, question], 'r');

describe('a yes', () => {
  test('is a plain true', async () => {
    assert.equal(await allows(), true);
    assert.deepEqual(asked, ['/ask Bearer secret']);
  });

  for (const [guarantee, decision] of [['false', false], ['the text', 'true'], ['the number', 1], ['a list', [true]], ['null', null], ['nothing', undefined]] as const) {
    test(`is not ${guarantee}`, async () => {
      answer = json({ decision });
      assert.equal(await allows(), false);
      answer = json({ evaluations: [{ decision }, { decision: true }] });
      assert.deepEqual(await each(), [false, true]);
    });
  }

  test('of items is not one of their number', async () => {
    answer = json({ evaluations: [{ decision: true }, true] });
    assert.deepEqual(await each(), [true, false]);
  });

  test('is not asked for nothing', async () => {
    assert.deepEqual(await point().allowsEach({}, [], 'r'), []);
    assert.deepEqual(asked, []);
  });
});

describe('no answer', () => {
  const faults: readonly [guarantee: string, reply: Reply][] = [
    ['a connection that breaks', reset],
    ['silence', hang],
    ['a refusal', json('asking about others takes `access.check` there', 403)],
    ['a credential that has expired', json('the credential is not accepted', 401)],
    ['too many requests', json('too many requests', 429)],
    ['a failure', json({ decision: true }, 500)],
    ['a success of another kind', json({ decision: true }, 201)],
    ['a page', (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')],
    ['half an answer', (response) => void response.writeHead(200, { 'content-length': '100' }).write('{"decision":true', () => response.destroy())],
    ['a text', json('true')],
    ['null', json(null)],
    ['another place to ask', (response) => void response.writeHead(307, { location: '/elsewhere' }).end()],
  ];
  for (const [guarantee, reply] of faults) {
    test(`is ${guarantee}`, async () => {
      answer = reply;
      await assert.rejects(allows(), NoAnswer);
      await assert.rejects(each(), NoAnswer);
      assert.ok(!asked.some((one) => one.startsWith('/elsewhere')));
    });
    test(`is ${guarantee} where its metadata is`, async () => {
      metadata = reply;
      await assert.rejects(allows(), NoAnswer);
      assert.deepEqual(asked, []);
    });
  }

  for (const [guarantee, body] of [['fewer answers than questions', { evaluations: [{ decision: true }] }], ['more answers than questions', { evaluations: [{}, {}, {}] }], ['one decision for many', { decision: true }]] as const) {
    test(`is ${guarantee}`, async () => {
      answer = json(body);
      await assert.rejects(each(), NoAnswer);
    });
  }

  for (const [guarantee, change] of [
    ['speaks for another', { policy_decision_point: 'https://elsewhere.example/accounts/default' }],
    ['sends the token elsewhere', { access_evaluation_endpoint: 'https://elsewhere.example/ask' }],
    ['leaves an endpoint out', { access_evaluations_endpoint: undefined }],
  ] as const) {
    test(`comes from a decision point that ${guarantee}`, async () => {
      metadata = json({ ...honest(), ...change });
      await assert.rejects(allows(), NoAnswer);
      assert.deepEqual(asked, []);
    });
  }

  test('is forgotten when there is one', async () => {
    const one = point();
    metadata = json(null, 503);
    await assert.rejects(one.allows(question, 'r'), NoAnswer);
    metadata = json(honest());
    assert.equal(await one.allows(question, 'r'), true);
  });
});

test('a search without results is no answer, and an empty token is the end', async () => {
  const search = { ...question, page: { limit: 1 } };
  await assert.rejects(point().find(search, 'r'), NoAnswer);
  answer = json({ results: [{ type: 'todo', id: 'milk' }], page: { next_token: '' } });
  assert.deepEqual(await point().find(search, 'r'), { ids: ['milk'], next: null });
});
