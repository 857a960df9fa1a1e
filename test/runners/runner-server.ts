/** A server whose attempts are kept by a desk of the test's choice; everything else of it is the real thing. */
import assert from 'node:assert/strict';
import type { AttemptDesk } from '#features/runners/schema.ts';
import { systemClock } from '#platform/clock.ts';
import { register } from '#runner/http-transport.ts';
import type { RegisteredIdentity } from '#runner/identity.ts';
import { makeIdentity } from '#runner/identity.ts';
import type { TestServer, TestServerOptions } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';

export interface Registration {
  readonly id: string;
  readonly account: string;
  readonly scope: string;
  readonly identifier: string;
  readonly token: string;
}

const methods = ['claim', 'watch', 'payload', 'masks', 'token', 'started', 'heartbeat', 'appendLog', 'result'] as const;

/** `desk` is asked at every call, so a test may change its mind. */
export async function startRunnerServer(desk: () => AttemptDesk, options: TestServerOptions = {}): Promise<TestServer> {
  const server = await startTestServer(options);
  const forward = methods.map((name) => [name, (...args: unknown[]) => (desk()[name] as (...given: unknown[]) => unknown).apply(desk(), args)] as const);
  Object.assign(server.app.desk, Object.fromEntries(forward));
  return server;
}

/** A registration token made by the admin; `scope` must be there. */
export async function makeRegistration(server: TestServer, { scope = '/', ...body }: { readonly scope?: string; readonly identifier?: string; readonly labels?: readonly string[] } = {}): Promise<Registration> {
  const [org, project] = scope === '/' ? [] : scope.split('/');
  const below = `${org === undefined ? '' : `/orgs/${org}`}${project === undefined ? '' : `/projects/${project}`}`;
  const answer = await server.call({ method: 'POST', path: `${server.api}${below}/runner-registrations`, body });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body as Registration;
}

export async function registerRunner(server: TestServer, wanted: Parameters<typeof makeRegistration>[1] = {}): Promise<RegisteredIdentity> {
  const { account, token } = await makeRegistration(server, wanted);
  const identity = makeIdentity();
  const { protocol: _, ...registration } = await register({ url: server.url, account }, { identity, token, clock: systemClock, signal: new AbortController().signal });
  return { ...identity, registration: { ...registration, account } };
}
