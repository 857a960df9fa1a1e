/** The token request of `@actions/core`, as a step of a workflow makes it, and what its token is worth here. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { before, test } from 'node:test';
import { startTrustWorld, issuerDocument, jwtType, tokenExchange } from '../test/api/trust-world.ts';
import type { TrustWorld } from '../test/api/trust-world.ts';
import { atEnd } from '../test/endings.ts';

const audience = 'https://sallyport.example';
const requestToken = 'the request token of the job';

let world: TrustWorld;
before(async () => {
  world = await startTrustWorld();
});

/** What the runner of a workflow offers its steps: a token for an audience, for those who bring the job's request token. */
async function startRequestEndpoint(claims: Readonly<Record<string, unknown>>): Promise<string> {
  const server = createServer((request, response) => {
    const wanted = new URL(request.url ?? '/', 'http://runner').searchParams.get('audience');
    if (request.headers.authorization !== `Bearer ${requestToken}`) return void response.writeHead(401).end();
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ value: world.hcp.token({ aud: wanted, ...claims }) }));
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  atEnd(() => new Promise<void>((done) => server.close(() => done())));
  // The client appends `&audience=`, so there has to be a query already.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/token?api-version=2.0`;
}

test('the token a workflow asks for is traded for a session of its repository', async (t) => {
  const core = await import('@actions/core').catch(() => null);
  if (core === null) return t.skip('needs: `npm ci` in interop');
  const claims = { sub: 'repo:acme@11/shop@22:ref:refs/heads/main', repository_id: '22', repository_owner_id: '11', repository: 'acme/shop', repository_owner: 'acme', event_name: 'push', ref: 'refs/heads/main' };
  await world.server.apply([
    issuerDocument('hcp', world.hcp, { immutableClaims: ['repository_id', 'repository_owner_id'] }),
    {
      kind: 'ClaimMapping', identifier: 'shop_repository',
      spec: {
        issuer: 'hcp', when: [{ claim: '/repository_owner_id', equals: '11' }, { claim: '/repository_id', equals: '22' }, { claim: '/event_name', equals: 'push' }],
        grants: [{ role: 'project_admin', scope: 'payments/checkout', resourceGroup: 'all_project_level_resources' }],
      },
    },
  ]);
  process.env['ACTIONS_ID_TOKEN_REQUEST_URL'] = await startRequestEndpoint(claims);
  process.env['ACTIONS_ID_TOKEN_REQUEST_TOKEN'] = requestToken;
  const token = await core.getIDToken(audience);
  const answer = await world.oauth('token', { grant_type: tokenExchange, subject_token: token, subject_token_type: jwtType });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const session = (answer.body as { access_token: string }).access_token;
  assert.deepEqual([await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), await world.may(session, 'pipeline.edit', 'payments/refunds/recover')], [true, false]);
});
