/**
 * What the journeys happen in: the server with `examples/quickstart` applied, a runner as a process of its own, an OpenID
 * provider that vouches for Terraform runs and applications, and the partner pipelines call. Nothing is replaced.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { isFinal } from '#features/pipelines/feature.ts';
import type { Status } from '#features/pipelines/schema.ts';
import type { ExecutionView } from '#features/executions/schema.ts';
import type { RemoteAnswer } from '#platform/remote.ts';
import { readManifestFiles } from '#surfaces/manifest-files.ts';
import { atEnd } from '#test/endings.ts';
import { applicationClient, startOidcProvider, workspaceClient } from '#test/parties/oidc-provider.ts';
import type { OidcProvider, OutsideClient } from '#test/parties/oidc-provider.ts';
import { startPartner } from '#test/parties/partner.ts';
import type { Partner } from '#test/parties/partner.ts';
import { RunnerProcess, runnerHome } from '#test/runners/runner-process.ts';
import { makeRegistration } from '#test/runners/runner-server.ts';
import { StepGate } from '#test/runners/step-gate.ts';
import { startTestServer } from '#test/server.ts';
import type { TestServer } from '#test/server.ts';
import { until } from '#test/until.ts';

export type Manifest = Record<string, unknown>;

const example = fileURLToPath(new URL('../../examples/quickstart', import.meta.url));
const partnerAudience = 'https://partner.example';
/** Processes start slowly on a busy machine. */
const patience = { patienceMs: 45_000 };

/** Value of the secret `db_password`. */
export const password = 'correct-horse-battery-staple';

export interface AuditRow {
  readonly action: string;
  readonly outcome: string;
  readonly scope: string;
  readonly actor: { readonly type: string; readonly path: string | null } | null;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly detail?: Readonly<Record<string, unknown>>;
  readonly diff?: unknown;
  readonly requestId: string;
}

/** A started run: path of its project, and its id. */
export interface Run {
  readonly scope: string;
  readonly id: string;
}

export interface Journey {
  readonly server: TestServer;
  readonly provider: OidcProvider;
  readonly partner: Partner;
  /** Steps that contain `gate.script` stop at `gate NAME` until the test lets them go on. */
  readonly gate: StepGate;
  /** Brings a fresh token of an outside client. */
  exchange(client: string): Promise<RemoteAnswer>;
  /** The same, and it is let in: the session's token. */
  session(client: string): Promise<string>;
  start(pipeline: string, token: string, inputs?: Readonly<Record<string, string>>): Promise<RemoteAnswer>;
  /** The same, and it starts. */
  run(pipeline: string, token: string, inputs?: Readonly<Record<string, string>>): Promise<Run>;
  /** The execution once it has ended. */
  ended(run: Run): Promise<ExecutionView>;
  /** Everything its steps printed. */
  log(run: Run): Promise<string>;
  /** Audit rows of the account and below, newest first. */
  audit(filter: Readonly<Record<string, string>>): Promise<readonly AuditRow[]>;
}

const acme = { organization: 'acme', project: 'shop' };

/** Who may ask the provider for tokens, besides `more`. */
const terraform: readonly OutsideClient[] = [
  workspaceClient('checkout_apply', { ...acme, workspace: 'checkout' }),
  workspaceClient('checkout_plan', { ...acme, workspace: 'checkout', phase: 'plan' }),
  workspaceClient('playground_apply', { ...acme, workspace: 'playground' }),
];
const corporate: readonly OutsideClient[] = [
  applicationClient('app_x', { application_id: 'app_x' }),
  applicationClient('app_y', { application_id: 'app_y' }),
  applicationClient('no_application', {}),
];

export async function startJourney(more: { readonly terraform?: readonly OutsideClient[] } = {}): Promise<Journey> {
  const provider = await startOidcProvider({ clients: { terraform: [...terraform, ...(more.terraform ?? [])], corporate } });
  atEnd(() => provider.stop());
  const server = await startTestServer({ settings: { allowPrivateOrigin: [provider.origin] } });
  const issuer = `${server.url}/accounts/${server.account.identifier}`;
  await server.apply(await quickstart({ 'https://id.example.com': provider.origin, 'https://sallyport.example': server.url }));
  const partner = await startPartner({ issuer, audience: partnerAudience });
  atEnd(() => partner.stop());
  const gate = await StepGate.open();
  await new RunnerProcess(server.url, runnerHome(await makeRegistration(server)), ['--unsafe', '--concurrency', '4']).ready();
  const exchange = async (client: string): Promise<RemoteAnswer> => server.call({
    method: 'POST', path: `/accounts/${server.account.identifier}/oauth/token`, token: null,
    form: {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      subject_token: await provider.token(client, issuer),
    },
  });
  const start: Journey['start'] = (pipeline, token, inputs = {}) => {
    const { scope, identifier } = placeOf(pipeline);
    return server.call({ method: 'POST', path: `${scopeApi(server, scope)}/executions`, body: { pipeline: identifier, inputs }, token });
  };
  return {
    server, provider, partner, gate, exchange, start,
    async session(client) {
      const answer = await exchange(client);
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      return (answer.body as { access_token: string }).access_token;
    },
    async run(pipeline, token, inputs) {
      const answer = await start(pipeline, token, inputs);
      assert.equal(answer.status, 202, JSON.stringify(answer.body));
      return { scope: placeOf(pipeline).scope, id: (answer.body as ExecutionView).id };
    },
    ended: (run) => until(async () => {
      const { body } = await server.call({ method: 'GET', path: `${scopeApi(server, run.scope)}/executions/${run.id}` });
      return isFinal((body as ExecutionView).status as Status) ? (body as ExecutionView) : null;
    }, `the end of execution ${run.id}`, patience),
    log: (run) => logOf(server, run),
    async audit(filter) {
      const { body } = await server.call({ method: 'GET', path: `${server.api}/audit?${new URLSearchParams({ below: 'true', ...filter })}` });
      return (body as { items: AuditRow[] }).items;
    },
  };
}

/** Path of a scope's part of the API. */
export function scopeApi({ api }: Pick<TestServer, 'api'>, scope: string): string {
  const [org, project] = scope.split('/');
  return project === undefined ? `${api}/orgs/${org}` : `${api}/orgs/${org}/projects/${project}`;
}

/** What a refused caller is told, without the number of the request. */
export function told({ status, body }: RemoteAnswer): string {
  const { instance: _instance, correlation_id: _correlation, ...rest } = body as Record<string, unknown>;
  return JSON.stringify([status, rest]);
}

async function quickstart(hosts: Readonly<Record<string, string>>): Promise<Manifest[]> {
  const sources = { variable: () => password, stdin: () => Promise.reject(new Error('nobody is asked')) };
  const files = await readManifestFiles([example], sources, async () => null);
  let text = JSON.stringify(files.map((file) => file.manifest));
  for (const [placeholder, host] of Object.entries(hosts)) text = text.replaceAll(placeholder, host);
  return JSON.parse(text) as Manifest[];
}

async function logOf(server: TestServer, { scope, id }: Run): Promise<string> {
  let text = '';
  for (let after = ''; ; ) {
    const query = after === '' ? '' : `?after=${encodeURIComponent(after)}`;
    const { body } = await server.call({ method: 'GET', path: `${scopeApi(server, scope)}/executions/${id}/logs${query}` });
    const { chunks, next } = body as { chunks: { text: string }[]; next: string };
    if (chunks.length === 0) return text;
    text += chunks.map((chunk) => chunk.text).join('');
    after = next;
  }
}

function placeOf(pipeline: string): { scope: string; identifier: string } {
  const slash = pipeline.lastIndexOf('/');
  return { scope: pipeline.slice(0, slash), identifier: pipeline.slice(slash + 1) };
}
