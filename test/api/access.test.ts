/** The decision tables again, this time as documents saved through the API and questions asked over HTTP. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { evaluate } from '#features/access/feature.ts';
import type { Manifest } from '#features/resources/schema.ts';
import type { RemoteAnswer } from '#platform/remote.ts';
import { parseResourcePath } from '#kernel/scope.ts';
import type { Reason } from '#kernel/decision.ts';
import { testKinds } from '#test/cases/stand-ins.ts';
import type { BuiltWorld, Case, CaseFile } from '#test/cases/world.ts';
import { askerOf, buildWorld, pathOfUid, questionsOf, readCaseFile } from '#test/cases/world.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import type { Problem } from './answers.ts';
import { problem } from './answers.ts';

const folder = new URL('../cases/access/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml')).sort().map((name) => ({ name, file: readCaseFile(new URL(name, folder).pathname) }));

/** What the question of the API cannot say. Every case that is not asked here names one of these. */
const unaskable = {
  session: 'sessions come from an exchange of tokens; those have tests of their own',
  otherPrincipal: 'only users and service accounts can be asked about',
  account: 'the account itself has no path',
  otherKind: 'the kind follows from the permission',
  draft: 'what is stored wins over what the caller says of it',
  values: 'values that are not stored cannot be asked about',
  noBounds: 'an empty list of bounds cannot be written in a token',
  scope: 'asking about others is a right in a scope, so the scope must be there',
  attribute: 'the kind asks for an attribute that the table leaves out',
} as const;

type Unaskable = keyof typeof unaskable;

/** Null when it can be asked. */
function whyNot(built: BuiltWorld, asked: Case): Unaskable | null {
  const [type] = asked.who.split(':');
  if (type === 'session') return 'session';
  if (type !== 'user' && type !== 'service_account') return 'otherPrincipal';
  if (asked.within?.length === 0) return 'noBounds';
  if (asked.change !== undefined) return 'values';
  if (asked.create !== undefined) {
    const { scope, identifier } = asked.create;
    if (!built.world.hasScope(scope)) return 'scope';
    return identifier !== undefined && built.world.find(asked.may.split('.')[0]!, scope, identifier) !== undefined ? 'draft' : null;
  }
  if (typeof asked.on === 'object') return 'otherKind';
  const place = parseResourcePath(asked.on!);
  if (asked.may.startsWith('account.') || place === null) return 'account';
  if (!built.world.hasScope(place.scope)) return 'scope';
  const entry = built.world.find(asked.may.split('.')[0]!, place.scope, place.identifier);
  return Object.values(entry?.attributes ?? {}).includes(undefined) ? 'attribute' : null;
}

/** Specs that the tables leave out because their own kinds ask for nothing. */
const realSpecs: Readonly<Record<string, (identifier: string) => object>> = {
  Pipeline: () => ({ pipeline: { stages: [{ stage: { identifier: 's', type: 'CI', spec: { execution: { steps: [{ step: { identifier: 'a', type: 'Run', spec: { shell: 'Bash', command: 'true' } } }] } } } }] } }),
  Connector: () => ({ type: 'jwt', audiences: ['https://partner.example'] }),
  Secret: () => ({ type: 'text', value: 'correct horse battery' }),
  Environment: () => ({ type: 'PreProduction' }),
  TrustedIssuer: (identifier) => ({ issuer: `https://${identifier}.example`, audiences: ['https://sallyport.example'], keys: { jwksUri: `https://${identifier}.example/jwks` }, algorithms: ['RS256'] }),
};

function real(document: Manifest): Record<string, unknown> {
  const spec = document.spec as object | undefined;
  const isEmpty = spec === undefined || Object.keys(spec).length === 0;
  return { ...document, spec: isEmpty ? (realSpecs[document.kind]?.(document.identifier) ?? {}) : spec };
}

interface Told {
  readonly allowed: boolean;
  readonly reasons: readonly Record<string, unknown>[];
}

/** A reason in words of paths; two engines name the same things by other uids. */
function readable(reason: Reason): Record<string, unknown> {
  const { code, binding, groupPath, role, resourceGroup, condition } = reason;
  const name = (uid: string): string => (uid.startsWith('builtin:') ? uid.split(':')[2]! : pathOfUid(uid));
  return {
    code,
    ...(binding === undefined ? {} : { binding: name(binding) }),
    ...(groupPath === undefined ? {} : { groupPath: groupPath.map(name) }),
    ...(role === undefined ? {} : { role: name(role) }),
    ...(resourceGroup === undefined ? {} : { resourceGroup: name(resourceGroup) }),
    ...(condition === undefined ? {} : { condition }),
  };
}

function directly(built: BuiltWorld, asked: Case): Told {
  const decision = evaluate(built.world, built.kinds, askerOf(built, asked), questionsOf(built, asked)[0]!, built.now);
  return { allowed: decision.allowed, reasons: decision.reasons.map(readable) };
}

const sorted = (reasons: Told['reasons']): string[] => reasons.map((reason) => JSON.stringify(reason)).toSorted();

let server: TestServer;
before(async () => void (server = await startTestServer()));

const asked = { here: 0, notHere: new Map<Unaskable, number>() };

for (const [number, { name, file }] of files.entries()) {
  const built = buildWorld(file, testKinds);
  const reasons = file.cases.map((one) => whyNot(built, one));
  for (const reason of reasons) if (reason !== null) asked.notHere.set(reason, (asked.notHere.get(reason) ?? 0) + 1);
  asked.here += reasons.filter((reason) => reason === null).length;
  if (!reasons.includes(null) && file.refused.length === 0) continue;
  describe(`${name}: ${file.about}`, () => {
    let account: Awaited<ReturnType<TestServer['addAccount']>>;
    const call = (method: string, path: string, body?: unknown, token?: string): Promise<RemoteAnswer> =>
      server.call({ method, path: `${account.api}/${path}`, token: token ?? account.adminToken, ...(body === undefined ? {} : { body }) });

    /** Some bindings end a second later. */
    const setClock = (): void => server.clock.advance(built.now.getTime() - server.clock.now().getTime());
    before(async () => {
      setClock();
      account = await server.addAccount(`tables_${number}`);
      await save(call, file);
    });

    for (const one of file.cases.filter((_, i) => reasons[i] === null)) {
      test(one.it, async () => {
        setClock();
        const told = await overHttp(call, one);
        const expected = directly(built, one);
        assert.equal(expected.allowed, one.denied === undefined);
        assert.equal(told.allowed, expected.allowed);
        // Why it is not allowed is for those who may explain; a narrowed credential may not.
        if (one.within === undefined) assert.deepEqual(sorted(told.reasons), sorted(expected.reasons));
        if (one.allowed !== undefined) assert.equal(told.reasons[0]?.['binding'], one.allowed);
      });
    }
    for (const { it, apply, at, says } of file.refused) {
      test(it, async () => {
        const { errors } = problem(await call('POST', 'manifests:apply', { documents: apply.map(real) }), 400, 'request.invalid');
        const found = (errors ?? []).find((error: NonNullable<Problem['errors']>[number]) => error.pointer === at);
        assert.ok(found?.message.includes(says), `expected \`${says}\` at \`${at}\`, got ${JSON.stringify(errors)}`);
      });
    }
  });
}

type Call = (method: string, path: string, body?: unknown, token?: string) => Promise<RemoteAnswer>;

async function save(call: Call, { world, later }: CaseFile): Promise<void> {
  for (const documents of [world, later.apply]) {
    if (documents.length === 0) continue;
    const answer = await call('POST', 'manifests:apply', { documents: documents.map(real) });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
  }
  for (const uid of later.delete) {
    const [kind = '', path = ''] = uid.split(':');
    const { scope, identifier } = parseResourcePath(path)!;
    const [org, project] = scope === '/' ? [] : scope.split('/');
    const below = `${org === undefined ? '' : `orgs/${org}/`}${project === undefined ? '' : `projects/${project}/`}`;
    const answer = await call('DELETE', `${below}${kind.replaceAll('_', '-')}s/${identifier}?cascade=true`);
    assert.equal(answer.status, 204, `${uid}: ${JSON.stringify(answer.body)}`);
  }
  if (later.again.length > 0) assert.equal((await call('POST', 'manifests:apply', { documents: later.again.map(real) })).status, 200);
}

/** About another principal the admin asks; within bounds the principal asks about itself, with a token so bounded. */
async function overHttp(call: Call, one: Case): Promise<Told> {
  const resource = typeof one.on === 'string' ? one.on : one.create!;
  const question = { permission: one.may, resource };
  let answer: RemoteAnswer;
  if (one.within === undefined) answer = await call('POST', 'access:check', { ...question, principal: one.who });
  else {
    const [type, path] = one.who.split(':');
    const made = await call('POST', 'api-tokens', { principal: { type, path }, name: 'within', bounds: one.within });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    answer = await call('POST', 'access:check', question, (made.body as { token: string }).token);
  }
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body as Told;
}

test('most of the tables can be asked over HTTP, and for the rest it is said why not', (t) => {
  const left = [...asked.notHere].map(([reason, count]) => `${count}: ${unaskable[reason]}`);
  for (const line of [`${asked.here} asked`, ...left]) t.diagnostic(line);
  const notSessions = [...asked.notHere].filter(([reason]) => reason !== 'session').reduce((sum, [, count]) => sum + count, 0);
  assert.ok(asked.here > 3 * notSessions, left.join('; '));
});
