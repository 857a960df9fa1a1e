/** An outside OIDC issuer on loopback: discovery, keys and their rotation, tokens as real systems sign them, and tricks. */
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import type { IssuerKey } from './tokens.ts';
import { issue, issuerKey } from './tokens.ts';

/** How the issuer misbehaves. */
export type Trick =
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'redirect'; readonly to: string }
  | { readonly kind: 'bytes'; readonly body: string | Buffer; readonly type?: string }
  /** Never answers. */
  | { readonly kind: 'silence' }
  /** A byte now and then, for ever. */
  | { readonly kind: 'drip'; readonly everyMs: number }
  /** So many bytes of a document that has not ended, as fast as they are taken. */
  | { readonly kind: 'flood'; readonly bytes: number };

export interface TestIssuer {
  /** Also its origin; no trailing slash. */
  readonly url: string;
  readonly key: IssuerKey;
  /** How often each path was asked for. */
  asked(path: string): number;
  /** Signs from now on with a new key and publishes it alone, or together with the old ones. */
  rotate(options?: { readonly keepOld?: boolean; readonly alg?: string }): IssuerKey;
  /** What discovery says, changed. */
  discovery(changes: Readonly<Record<string, unknown>>): void;
  /** Undefined ends the trick. */
  trick(path: string, trick: Trick | undefined): void;
  /** Replaces what the key endpoint publishes. */
  publish(jwks: unknown): void;
  token(claims: Readonly<Record<string, unknown>>, options?: TokenOptions): string;
  stop(): Promise<void>;
}

export interface TokenOptions {
  readonly header?: object;
  readonly key?: IssuerKey;
  /** Claims to leave out. */
  readonly without?: readonly string[];
}

export const discoveryPath = '/.well-known/openid-configuration';
export const keysPath = '/keys';

export async function startIssuer({ nowSeconds = () => Math.floor(Date.now() / 1_000), alg = 'RS256' }: { nowSeconds?: () => number; alg?: string } = {}): Promise<TestIssuer> {
  let key = issuerKey(alg, 'key-1');
  let published: unknown = { keys: [key.jwk] };
  let rotations = 1;
  let changes: Readonly<Record<string, unknown>> = {};
  const tricks = new Map<string, Trick>();
  const counts = new Map<string, number>();
  let url = '';
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    counts.set(path, (counts.get(path) ?? 0) + 1);
    const trick = tricks.get(path);
    if (trick !== undefined) return play(response, trick);
    if (path === discoveryPath) return json(response, { issuer: url, jwks_uri: `${url}${keysPath}`, ...changes });
    if (path === keysPath) return json(response, published);
    response.writeHead(404).end();
  });
  url = await listen(server);
  return {
    url,
    get key() {
      return key;
    },
    asked: (path) => counts.get(path) ?? 0,
    rotate({ keepOld = false, alg: next = alg } = {}) {
      const old = key;
      key = issuerKey(next, `key-${++rotations}`);
      published = { keys: keepOld ? [key.jwk, old.jwk] : [key.jwk] };
      return key;
    },
    discovery: (next) => void (changes = next),
    trick: (path, trick) => void (trick === undefined ? tricks.delete(path) : tricks.set(path, trick)),
    publish: (jwks) => void (published = jwks),
    token(claims, options = {}) {
      const iat = nowSeconds();
      const all: Record<string, unknown> = { iss: url, iat, nbf: iat - 5, exp: iat + 300, jti: `token-${rotations}-${iat}`, ...claims };
      for (const name of options.without ?? []) delete all[name];
      return issue(options.key ?? key, all, options.header ?? {});
    },
    stop: () => new Promise((done) => {
      server.closeAllConnections();
      server.close(() => done());
    }),
  };
}

/** Claims of a run in HCP Terraform. */
export function terraformClaims(changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    aud: 'https://sallyport.example',
    sub: 'organization:acme:project:Default Project:workspace:platform:run_phase:apply',
    terraform_organization_id: 'org-abc',
    terraform_organization_name: 'acme',
    terraform_project_id: 'prj-A',
    terraform_project_name: 'Default Project',
    terraform_workspace_id: 'ws-123',
    terraform_workspace_name: 'platform',
    terraform_full_workspace: 'organization:acme:project:Default Project:workspace:platform',
    terraform_run_id: 'run-1',
    terraform_run_phase: 'apply',
    ...changes,
  };
}

/** Claims of a client-credentials access token (RFC 9068) of an authorization server; sign it with `typ: at+jwt`. */
export function clientClaims(changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { aud: 'https://sallyport.example', sub: 'dynatrace-automation', client_id: 'dynatrace-automation', application_id: 'app_x', ...changes };
}

function play(response: ServerResponse, trick: Trick): void {
  if (trick.kind === 'status') response.writeHead(trick.status).end();
  else if (trick.kind === 'redirect') response.writeHead(302, { location: trick.to }).end();
  else if (trick.kind === 'bytes') response.writeHead(200, { 'content-type': trick.type ?? 'application/json' }).end(trick.body);
  else if (trick.kind === 'drip') drip(response, trick.everyMs);
  else if (trick.kind === 'flood') flood(response, trick.bytes);
}

function drip(response: ServerResponse, everyMs: number): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  const timer = setInterval(() => response.write(' '), everyMs);
  response.on('close', () => clearInterval(timer));
}

function flood(response: ServerResponse, bytes: number): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  Readable.from(chunks(bytes)).pipe(response);
}

function* chunks(bytes: number): Generator<Buffer> {
  yield Buffer.from('{"keys":[],"x":"');
  for (let left = bytes; left > 0; left -= 65_536) yield Buffer.alloc(Math.min(left, 65_536), 'x');
}

function json(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function listen(server: Server): Promise<string> {
  return new Promise((ready) => server.listen(0, '127.0.0.1', () => ready(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)));
}
