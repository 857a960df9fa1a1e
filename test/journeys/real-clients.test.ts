/** Clients nobody here wrote, against the server as it is: openid-client exchanges tokens of a real provider, with DPoP too. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { None, allowInsecureRequests, discovery, fetchProtectedResource, genericGrantRequest, getDPoPHandle, randomDPoPKeyPair, tokenRevocation } from 'openid-client';
import type { Configuration } from 'openid-client';
import { scopeApi, startJourney } from './world.ts';
import type { Journey } from './world.ts';

const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
const assertionGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

let journey: Journey;
let client: Configuration;
let issuer: string;

before(async () => {
  journey = await startJourney();
  issuer = `${journey.server.url}/accounts/default`;
  client = await discovery(new URL(issuer), 'terraform', undefined, None(), { execute: [allowInsecureRequests] });
});

const outside = async (): Promise<Record<string, string>> => ({ subject_token: await journey.provider.token('checkout_apply', issuer), subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' });
const services = (): URL => new URL(`${journey.server.url}${scopeApi(journey.server, 'payments/checkout')}/services`);

describe('openid-client', () => {
  test('finds out by itself what is offered', () => {
    const metadata = client.serverMetadata();
    assert.deepEqual(metadata.grant_types_supported, [exchangeGrant, assertionGrant]);
    assert.ok(metadata.dpop_signing_alg_values_supported?.includes('ES256'));
  });

  test('exchanges a token and uses the session', async () => {
    const answer = await genericGrantRequest(client, exchangeGrant, { ...(await outside()), audience: issuer });
    assert.deepEqual([answer.token_type, answer['issued_token_type']], ['bearer', 'urn:ietf:params:oauth:token-type:access_token']);
    assert.equal((await fetchProtectedResource(client, answer.access_token, services(), 'GET')).status, 200);
  });

  test('brings an assertion (RFC 7523)', async () => {
    const { subject_token: assertion } = await outside();
    const answer = await genericGrantRequest(client, assertionGrant, { assertion: assertion! });
    assert.equal((await fetchProtectedResource(client, answer.access_token, services(), 'GET')).status, 200);
  });

  test('asks for less and is told what it got (RFC 9396)', async () => {
    const details = [{ type: 'sallyport_grant', permissions: ['service.view'], scope: 'payments/checkout' }];
    const answer = await genericGrantRequest(client, exchangeGrant, { ...(await outside()), authorization_details: JSON.stringify(details) });
    assert.deepEqual(answer.authorization_details, details);
  });

  test('binds the session to a key by DPoP, learns the nonce by itself, and is nobody without the key', async () => {
    const keys = await randomDPoPKeyPair('ES256');
    const DPoP = getDPoPHandle(client, keys);
    const answer = await genericGrantRequest(client, exchangeGrant, await outside(), { DPoP });
    assert.equal(answer.token_type, 'dpop');
    const used = async () => (await fetchProtectedResource(client, answer.access_token, services(), 'GET', null, undefined, { DPoP })).status;
    assert.deepEqual([await used(), await used()], [200, 200]);
    const asBearer = await fetch(services(), { headers: { authorization: `Bearer ${answer.access_token}` } });
    assert.equal(asBearer.status, 401);
  });

  test('gives the session back (RFC 7009)', async () => {
    const answer = await genericGrantRequest(client, exchangeGrant, await outside());
    await tokenRevocation(client, answer.access_token);
    const after = await fetch(services(), { headers: { authorization: `Bearer ${answer.access_token}` } });
    assert.equal(after.status, 401);
  });
});
