/** Against Node's own HTTP server on loopback: what is counted, and who is told when nobody waits any more. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:net';
import { test } from 'node:test';
import { Refusal } from '#kernel/errors.ts';
import { until } from '#test/until.ts';
import type { Awaiting, InFlight } from './in-flight.ts';
import { createInFlight } from './in-flight.ts';

interface Work {
  readonly awaiting: Awaiting;
  finish(): void;
  /** What whoever asked was told: the value, or the code of the refusal. */
  readonly told: Promise<unknown>;
}

interface Bench {
  readonly inFlight: InFlight;
  /** Work under way, in the order it was asked for. */
  readonly works: readonly Work[];
  client(): Promise<Socket>;
}

const head = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const longMs = 60_000;

/** Every request is work until the test finishes it. */
async function bench(timeoutMs: number, use: (bench: Bench) => Promise<void>): Promise<void> {
  const inFlight = createInFlight(timeoutMs);
  const works: Work[] = [];
  const onRequest: RequestListener = (_request, response) => {
    inFlight.enter(response);
    const told = inFlight.attend(response, (awaiting) => {
      const { promise, resolve } = Promise.withResolvers<string>();
      queueMicrotask(() => works.push({ awaiting, told, finish: () => resolve('done') }));
      return promise;
    }).catch((error: unknown) => (error instanceof Refusal ? error.code : error));
    void told.then((text) => response.end(String(text)));
  };
  const server = createServer(onRequest).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const clients: Socket[] = [];
  try {
    await use({
      inFlight, works,
      async client() {
        const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').resume();
        clients.push(socket);
        await once(socket, 'connect');
        return socket;
      },
    });
  } finally {
    for (const client of clients) client.destroy();
    server.close();
  }
}

const seen = (works: readonly Work[], count: number) => until(() => works.length === count, `${count} works are under way`);
const settled = (inFlight: InFlight, count: number) => until(() => inFlight.count === count, `${count} are in flight`);

test('a request counts from its head to its answer', () => bench(longMs, async ({ inFlight, works, client }) => {
  assert.equal(inFlight.count, 0);
  (await client()).write(head);
  await seen(works, 1);
  assert.equal(inFlight.count, 1);
  works[0]!.finish();
  assert.equal(await works[0]!.told, 'done');
  await settled(inFlight, 0);
  assert.equal(works[0]!.awaiting.signal.aborted, false);
}));

test('work whose client has left is told, and counts until it stops', () => bench(longMs, async ({ inFlight, works, client }) => {
  for (let i = 1; i <= 3; i++) {
    const leaving = await client();
    leaving.write(head);
    await seen(works, i);
    const { signal } = works[i - 1]!.awaiting;
    leaving.destroy();
    if (!signal.aborted) await once(signal, 'abort');
    assert.equal((signal.reason as Refusal).code, 'request.abandoned');
    assert.equal(await works[i - 1]!.told, 'request.abandoned');
  }
  assert.equal(inFlight.count, 3);
  for (const work of works) work.finish();
  await settled(inFlight, 0);
}));

test('work that takes too long is told, and counts until it stops although it was answered', () => bench(20, async ({ inFlight, works, client }) => {
  const patient = await client();
  patient.write(head);
  const [answer] = (await once(patient, 'data')) as [Buffer];
  assert.match(answer.toString(), /request\.timeout$/);
  const { signal } = works[0]!.awaiting;
  assert.equal((signal.reason as Refusal).code, 'request.timeout');
  // The next answer on the connection comes when the first is closed.
  assert.equal(inFlight.count, 1);
  works[0]!.finish();
  await settled(inFlight, 0);
}));

test('requests of one connection that leaves before the first is answered all end', () => bench(longMs, async ({ inFlight, works, client }) => {
  const pipelining = await client();
  pipelining.write(head.repeat(4));
  await seen(works, 4);
  assert.equal(inFlight.count, 4);
  pipelining.destroy();
  for (const { told } of works) assert.equal(await told, 'request.abandoned');
  assert.equal(inFlight.count, 4);
  for (const work of works) work.finish();
  await settled(inFlight, 0);
}));

test('a signal that is asked for late has ended already', () => bench(longMs, async ({ works, client }) => {
  const leaving = await client();
  leaving.write(head);
  await seen(works, 1);
  leaving.destroy();
  await works[0]!.told;
  assert.throws(() => works[0]!.awaiting.signal.throwIfAborted(), { code: 'request.abandoned' });
}));
