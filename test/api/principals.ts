/** Users and service accounts for tests, with tokens made through the API. */
import assert from 'node:assert/strict';
import type { TestServer } from '#test/server.ts';

export interface BindingWish {
  readonly role: string;
  /** Scope path of the binding; absent = the account. */
  readonly scope?: string;
  readonly resourceGroup?: string;
}

export interface TokenWish {
  readonly mayAdminister?: boolean;
  readonly ttl?: string;
  readonly bounds?: readonly Record<string, unknown>[];
}

export interface Made {
  readonly identifier: string;
  readonly token: string;
  readonly tokenId: string;
}

export function scopeApi(server: TestServer, scope: string): string {
  const [org, project] = scope === '/' ? [] : scope.split('/');
  return [server.api, ...(org === undefined ? [] : [`orgs/${org}`]), ...(project === undefined ? [] : [`projects/${project}`])].join('/');
}

/** Documents of a user and what it is bound to; by default over everything at and below the binding's scope. */
export function userDocuments(identifier: string, bindings: readonly BindingWish[] = []): Record<string, unknown>[] {
  return [
    { kind: 'User', identifier, spec: { email: `${identifier}@example.com` } },
    ...bindings.map(({ role, scope, resourceGroup }, i) => ({
      kind: 'RoleBinding',
      ...(scope === undefined ? {} : { scope }),
      identifier: `${identifier}_${i}`,
      spec: { principal: { type: 'user', id: identifier }, role, resourceGroup: resourceGroup ?? 'all_resources_including_child_scopes' },
    })),
  ];
}

/** A user with a token of its own; `mayAdminister` unless it is said not to. */
export async function makeUser(server: TestServer, identifier: string, bindings: readonly BindingWish[] = [], wish: TokenWish = {}): Promise<Made> {
  await server.apply(userDocuments(identifier, bindings));
  return makeToken(server, { type: 'user', path: identifier }, { mayAdminister: true, ...wish });
}

export async function makeToken(server: TestServer, principal: { readonly type: 'user' | 'service_account'; readonly path: string }, wish: TokenWish = {}): Promise<Made> {
  const answer = await server.call({ method: 'POST', path: `${server.api}/api-tokens`, body: { principal, name: 'of a test', ...wish } });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  const { token, id } = answer.body as { token: string; id: string };
  return { identifier: principal.path, token, tokenId: id };
}
