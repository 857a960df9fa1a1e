/**
 * Two administrators on two nodes: whatever the interleaving, what becomes of it is what one after the other would have
 * made, and neither alone nor together do they give what none of them holds.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { Client } from 'pg';
import type { RemoteAnswer } from '#platform/remote.ts';
import { runs } from '#test/mode.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import type { Document, Peopled } from './escalation-world.ts';
import { binding, doc, granted, group, issuer, mapping, members, peopled, resources, tokenFor, user } from './escalation-world.ts';

let first: TestServer;
let second: TestServer;
let place: Peopled;
let tokens: Readonly<Record<'remover' | 'giver' | 'payments_holder' | 'reader_holder', string>>;

before(async () => {
  // Nobody reads the audit here.
  const settings = { sequencerMs: 1_000 };
  first = await startTestServer({ settings });
  second = await startTestServer({ beside: first, settings });
  place = await peopled(first, 'shared');
  await save(first, place.adminToken, [
    ...['remover', 'giver', 'payments_holder', 'reader_holder', 'target', 'bystander'].map((name) => doc('User', name, { email: `${name}@example.com` })),
    ...['remover', 'giver', 'payments_holder', 'reader_holder'].map((name) => binding(`${name}_edits`, user(name), 'clerk')),
    doc('Role', 'treasure_twin', { level: 'account', permissions: ['secret.access'] }),
    doc('Role', 'reads', { level: 'account', permissions: ['secret.view'] }),
    binding('payments_holder', user('payments_holder'), 'account.treasure', { scope: 'payments' }),
  ]);
  const made = await Promise.all(['remover', 'giver', 'payments_holder', 'reader_holder'].map((path) => tokenFor(place, { type: 'user', path })));
  tokens = { remover: made[0]!, giver: made[1]!, payments_holder: made[2]!, reader_holder: made[3]! };
});

type Act = (node: TestServer, minRevision: string) => Promise<RemoteAnswer>;

function save(node: TestServer, token: string, documents: readonly Document[], minRevision?: string): Promise<RemoteAnswer> {
  const headers = minRevision === undefined ? {} : { 'sallyport-min-revision': minRevision };
  return node.call({ method: 'POST', path: `${place.api}/manifests:apply`, body: { documents }, token, headers });
}

const saves = (who: () => string, documents: readonly Document[]): Act => (node, minRevision) => save(node, who(), documents, minRevision);
const deletes = (who: () => string, path: string): Act => (node, minRevision) =>
  node.call({ method: 'DELETE', path: `${place.api}/${path}`, token: who(), headers: { 'sallyport-min-revision': minRevision } });

const isDone = ({ status }: RemoteAnswer): boolean => status === 200 || status === 204;

/** Refused for the rights it takes, or for who it was; never for want of another try. */
function assertRefused({ body }: RemoteAnswer): void {
  assert.ok(['access.escalation', 'access.denied', 'access.not_found', 'credential.invalid'].includes((body as { code: string }).code), JSON.stringify(body));
}

/** Of two documents of one resource the later. */
function lastOf(documents: readonly Document[]): Document[] {
  return [...new Map(documents.map((document) => [`${String(document['kind'])} ${String(document['scope'])} ${String(document['identifier'])}`, document])).values()];
}

/** Both have decided, on what was before either, when the first of them may write. */
async function bothDecided(acts: () => readonly Promise<RemoteAnswer>[]): Promise<RemoteAnswer[]> {
  const client = new Client({ ...first.rows.owner });
  await client.connect();
  try {
    await client.query(`begin; select 1 from account where identifier = 'shared' for update`);
    const running = acts();
    let answered = 0;
    for (const one of running) void one.finally(() => (answered += 1));
    await until(async () => {
      const rows = await first.sql(`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query ~ '"account"'`);
      return rows.length + answered >= running.length;
    }, 'both wait to write');
    await client.query('commit');
    return await Promise.all(running);
  } finally {
    await client.end();
  }
}

interface Outcome {
  readonly answers: readonly [RemoteAnswer, RemoteAnswer];
  /** Revisions of what was written since, in their order, with the names of what each changed. */
  readonly written: readonly (readonly string[])[];
}

/** At once in the first half, both decided before either writes in the second; nodes and order take turns. */
const rounds = runs(2, 12);

/** Restores, lets both act at once through two nodes in turns, and hands out what became of it. */
async function race(restore: readonly Document[], acts: readonly [Act, Act], judge: (outcome: Outcome) => Promise<void> | void): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const restored = await save(first, place.adminToken, lastOf(restore));
    assert.equal(restored.status, 200, JSON.stringify(restored.body));
    const { revision } = restored.body as { revision: number };
    // Who calls is known by what a node has seen already.
    await second.call({ method: 'GET', path: `${place.api}/roles`, token: place.adminToken, headers: { 'sallyport-min-revision': String(revision) } });
    const nodes = round % 2 === 0 ? [first, second] as const : [second, first] as const;
    const order = round % 3 === 0 ? [1, 0] as const : [0, 1] as const;
    const start = (): Promise<RemoteAnswer>[] => {
      const running: Promise<RemoteAnswer>[] = [];
      for (const i of order) running[i] = acts[i]!(nodes[i]!, String(revision));
      return running;
    };
    const [one, other] = round < rounds / 2 ? await Promise.all(start()) : await bothDecided(start);
    const rows = await first.sql<{ revision: number; name: string }>(
      `select c.revision, coalesce(c.change -> 'put' ->> 'identifier', r.identifier, c.change ->> 'remove') as name from access_change c
         join account a on a.id = c.account_id and a.identifier = 'shared'
         left join resource r on r.account_id = a.id and r.uid::text = c.change ->> 'remove'
       where c.revision > $1 order by c.revision, c.position`, [revision]);
    const written = [...Map.groupBy(rows, (row) => row.revision).values()].map((all) => all.map(({ name }) => name));
    const outcome: Outcome = { answers: [one!, other!], written };
    for (const answer of outcome.answers) if (!isDone(answer)) assertRefused(answer);
    await judge(outcome);
  }
}

async function may(principal: string, permission: string, resource: string): Promise<boolean> {
  const answer = await first.call({ method: 'POST', path: `${place.api}/access:check`, body: { principal, permission, resource }, token: place.adminToken });
  return (answer.body as { allowed: boolean }).allowed;
}

describe('one takes the right away that the other is using', () => {
  const grant = saves(() => tokens.giver, [binding('given', user('target'), 'treasure')]);
  const right = [binding('giver_right', group('givers'), 'treasure'), members('givers', [user('giver')]), doc('User', 'giver', { email: 'giver@example.com' }), resources('givers', { includeChildScopes: true, all: true })];
  const restore = [...right, binding('given', user('target'), 'reads'), doc('Role', 'giving', { level: 'account', permissions: ['secret.access', 'connector.access', 'environment.access'] })];
  const ways: readonly [how: string, restore: readonly Document[], act: Act, mark: string][] = [
    ['by disabling the binding', restore, saves(() => place.adminToken, [binding('giver_right', group('givers'), 'treasure', { more: { disabled: true } })]), 'giver_right'],
    ['by letting the binding expire', restore, saves(() => place.adminToken, [binding('giver_right', group('givers'), 'treasure', { more: { expiresAt: '2020-01-01T00:00:00Z' } })]), 'giver_right'],
    ['by taking it out of the group', restore, saves(() => place.adminToken, [members('givers', [])]), 'givers'],
    ['by disabling the user', restore, saves(() => place.adminToken, [doc('User', 'giver', { email: 'giver@example.com', disabled: true })]), 'giver'],
    ['by narrowing the resource group', [...restore, binding('giver_right', group('givers'), 'treasure', { resourceGroup: 'givers' })], saves(() => place.adminToken, [resources('givers', { resources: [] })]), 'givers'],
    ['by emptying the role', [...restore, binding('giver_right', group('givers'), 'giving')], saves(() => place.adminToken, [doc('Role', 'giving', { level: 'account', permissions: [] })]), 'giving'],
    ['by taking away the right to edit', [...restore, binding('giver_edits', user('giver'), 'clerk')], saves(() => place.adminToken, [binding('giver_edits', user('giver'), 'reads')]), 'giver_edits'],
  ];
  for (const [how, given, take, mark] of ways) {
    test(how, async () => {
      await race([...given, binding('giver_edits', user('giver'), 'clerk')], [take, grant], ({ answers: [taken, gave], written }) => {
        assert.ok(isDone(taken), JSON.stringify(taken.body));
        // What was given was given before the right was gone, or not at all.
        assert.deepEqual(written, isDone(gave) ? [['given'], [mark]] : [[mark]]);
      });
    });
  }

  test('by deleting the binding', async () => {
    await race([...restore, binding('giver_edits', user('giver'), 'clerk')], [deletes(() => place.adminToken, 'role-bindings/giver_right'), grant], async ({ answers: [taken, gave], written }) => {
      assert.equal(taken.status, 204);
      if (isDone(gave)) assert.deepEqual(written[0], ['given']);
      assert.equal(written.length, isDone(gave) ? 2 : 1);
      assert.equal(await may('user:target', 'secret.access', 'payments/plain'), isDone(gave));
    });
  });
});

describe('two last administrators remove each other', () => {
  const both = [binding('setup_admin_admin', user('admin'), 'account_admin'), binding('deputy', user('deputy'), 'account_admin'), doc('User', 'deputy', { email: 'deputy@example.com' }), doc('User', 'admin', { email: 'admin@example.com' })];
  const off = { more: { disabled: true } };
  const ways: readonly [how: string, acts: readonly [Act, Act]][] = [
    ['by disabling the bindings', [saves(() => place.adminToken, [binding('deputy', user('deputy'), 'account_admin', off)]), saves(() => place.deputy, [binding('setup_admin_admin', user('admin'), 'account_admin', off)])]],
    ['by disabling the users', [saves(() => place.adminToken, [doc('User', 'deputy', { email: 'deputy@example.com', disabled: true })]), saves(() => place.deputy, [doc('User', 'admin', { email: 'admin@example.com', disabled: true })])]],
    ['by giving the bindings an end', [saves(() => place.adminToken, [binding('deputy', user('deputy'), 'account_admin', { more: { expiresAt: '2090-01-01T00:00:00Z' } })]), saves(() => place.deputy, [binding('setup_admin_admin', user('admin'), 'account_admin', { more: { expiresAt: '2090-01-01T00:00:00Z' } })])]],
    ['in different ways', [saves(() => place.adminToken, [binding('deputy', user('deputy'), 'account_viewer')]), saves(() => place.deputy, [doc('User', 'admin', { email: 'admin@example.com', disabled: true })])]],
  ];
  for (const [how, acts] of ways) {
    test(how, async () => {
      for (let round = 0; round < rounds; round++) {
        const restored = (await Promise.all([place.adminToken, place.deputy].map((token) => save(first, token, both)))).filter(isDone);
        assert.ok(restored.length > 0, 'whoever is left lets the other in again');
        const revision = String(Math.max(...restored.map((answer) => (answer.body as { revision: number }).revision)));
        const start = () => [acts[0](round % 2 === 0 ? first : second, revision), acts[1](round % 2 === 0 ? second : first, revision)];
        const answers = round < rounds / 2 ? await Promise.all(start()) : await bothDecided(start);
        assert.equal(answers.filter(isDone).length, 1, JSON.stringify(answers.map((answer) => answer.body)));
        for (const answer of answers) if (!isDone(answer)) assert.ok([401, 403, 404, 409].includes(answer.status), JSON.stringify(answer.body));
        const admins = await Promise.all(['admin', 'deputy'].map((name) => mayBind(name)));
        assert.ok(admins.includes(true), 'somebody is left');
      }
    });
  }

  /** As whoever may ask: each about itself. */
  async function mayBind(name: string): Promise<boolean> {
    const token = name === 'admin' ? place.adminToken : place.deputy;
    const answer = await first.call({ method: 'POST', path: `${place.api}/access:check`, body: { permission: 'role_binding.create', resource: 'x' }, token });
    return answer.status === 200 && (answer.body as { allowed: boolean }).allowed;
  }

  test('and are both there again afterwards', async () => {
    const answers = await Promise.all([place.adminToken, place.deputy].map((token) => save(first, token, both)));
    assert.ok(answers.some(isDone));
  });
});

describe('two who each may do their part give nothing that neither holds', () => {
  const both = ([one, other]: readonly [RemoteAnswer, RemoteAnswer]): boolean => isDone(one) && isDone(other);

  test('one adds a permission to a role, the other binds it where the first does not hold the permission', async () => {
    // In `payments` the first holds `secret.access`; in `platform` neither does.
    await race(
      [doc('Role', 'shared', { level: 'account', permissions: ['secret.view'] }), binding('shared', user('bystander'), 'account.shared', { scope: 'payments' }), binding('union', user('bystander'), 'account.reads', { scope: 'platform' })],
      [
        saves(() => tokens.payments_holder, [doc('Role', 'shared', { level: 'account', permissions: ['secret.view', 'secret.access'] })]),
        saves(() => tokens.reader_holder, [binding('union', user('bystander'), 'account.shared', { scope: 'platform' })]),
      ],
      async ({ answers }) => {
        assert.equal(answers.filter(isDone).length, 1, JSON.stringify(answers.map(({ body }) => body)));
        assert.equal(await may('user:bystander', 'secret.access', 'platform/s'), false);
      });
  });

  test('one widens a resource group, the other binds a role over it that it holds over less', async () => {
    await race(
      [
        resources('shared', { scopes: [{ scope: 'payments' }], resources: [{ type: 'secret' }] }),
        binding('by_group', user('bystander'), 'reads', { resourceGroup: 'shared' }), binding('union', user('bystander'), 'reads', { resourceGroup: 'shared' }),
      ],
      [
        saves(() => tokens.reader_holder, [resources('shared', { scopes: [{ scope: '/', includeChildScopes: true }], resources: [{ type: 'secret' }] })]),
        saves(() => tokens.payments_holder, [binding('union', user('bystander'), 'treasure', { resourceGroup: 'shared' })]),
      ],
      async ({ answers }) => {
        assert.equal(answers.filter(isDone).length, 1, JSON.stringify(answers.map(({ body }) => body)));
        assert.equal(await may('user:bystander', 'secret.access', 'platform/s'), false);
      });
  });

  test('one puts a group into another that gives, which it holds, while the other joins the first group, and does not hold it', async () => {
    await race(
      [members('joined', []), members('strong', []), binding('strong', group('strong'), 'treasure')],
      [saves(() => place.holder, [members('strong', [group('joined')])]), saves(() => tokens.reader_holder, [members('joined', [user('bystander')])])],
      ({ answers, written }) => {
        assert.ok(isDone(answers[0]));
        // Who joined was there when the holder put the group in: knowingly.
        if (both(answers)) assert.deepEqual(written, [['joined'], ['strong']]);
        else assert.deepEqual(written, [['strong']]);
      });
  });

  test('one grants through a mapping what it holds, while the other, who does not, changes the keys of its issuer', async () => {
    const own = issuer({ issuer: 'https://raced.example', keys: { jwksUri: 'https://raced.example/jwks' } });
    await race(
      [{ ...own, identifier: 'raced' }, mapping({ issuer: 'raced', grants: [] }, 'raced_mapping')],
      [
        saves(() => place.holder, [mapping({ issuer: 'raced', grants: [granted()] }, 'raced_mapping')]),
        saves(() => tokens.reader_holder, [{ ...issuer({ issuer: 'https://raced.example', keys: { jwksUri: 'https://mallory.example/jwks' } }), identifier: 'raced' }]),
      ],
      ({ answers, written }) => {
        assert.ok(isDone(answers[0]), JSON.stringify(answers[0].body));
        assert.deepEqual(written, both(answers) ? [['raced'], ['raced_mapping']] : [['raced_mapping']]);
      });
  });

  test('one tags a thing while the other makes the tag one that a condition reads, of what the first does not hold', async () => {
    const untagged = doc('Secret', 'raced', { type: 'text', value: 'correct horse battery' }, 'payments');
    await race(
      [untagged, resources('raced', { resources: [] }, 'payments'), binding('raced', user('bystander'), 'account.treasure', { scope: 'payments', resourceGroup: 'raced' })],
      [
        saves(() => place.adminToken, [resources('raced', { resources: [{ type: 'secret', where: { 'tags.crew': { equals: 'red' } } }] }, 'payments')]),
        saves(() => tokens.reader_holder, [{ ...untagged, tags: { crew: 'red' } }]),
      ],
      ({ answers, written }) => {
        assert.ok(isDone(answers[0]), JSON.stringify(answers[0].body));
        // The condition is of one who saw the tag, or the tag is refused.
        assert.equal(written.length, both(answers) ? 2 : 1);
        if (both(answers)) assert.deepEqual(written.map(([name]) => name), ['raced', 'raced']);
      });
  });
});
