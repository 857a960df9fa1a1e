/**
 * Outside systems that hand out tokens: real provider software in a process of its own, under two issuers. `terraform`
 * makes tokens as HCP Terraform gives them to runs, `corporate` access tokens of the client credentials grant (RFC 6749
 * §4.4, RFC 9068) that carry what the directory knows of an application. Callers ask for them with a client of their own.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { allowInsecureRequests, clientCredentialsGrant, discovery } from 'openid-client';

export type OutsideIssuer = 'terraform' | 'corporate';

/** Something that may ask for tokens, and what they say of it. */
export interface OutsideClient {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly subject?: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** What the provider's process is told. */
export interface ProviderOrder {
  readonly port?: number;
  readonly clients: Readonly<Record<OutsideIssuer, readonly OutsideClient[]>>;
}

export interface OidcProvider {
  /** Origin of both issuers; a server has to be allowed to reach it. */
  readonly origin: string;
  readonly issuers: Readonly<Record<OutsideIssuer, string>>;
  /** A fresh token for `audience`, as the client with this id. */
  token(clientId: string, audience: string): Promise<string>;
  stop(): Promise<void>;
}

/** Names and ids of a workspace, as claims of its runs. */
export interface Workspace {
  readonly organization: string;
  readonly project: string;
  readonly workspace: string;
  readonly phase?: 'plan' | 'apply';
}

/** A workspace whose ids are its names with a prefix, as in `ws-checkout`. */
export function workspaceClient(clientId: string, { organization, project, workspace, phase = 'apply' }: Workspace): OutsideClient {
  return {
    clientId,
    clientSecret: newSecret(),
    subject: `organization:${organization}:project:${project}:workspace:${workspace}:run_phase:${phase}`,
    claims: {
      terraform_organization_id: `org-${organization}`, terraform_organization_name: organization,
      terraform_project_id: `prj-${project}`, terraform_project_name: project,
      terraform_workspace_id: `ws-${workspace}`, terraform_workspace_name: workspace,
      terraform_full_workspace: `organization:${organization}:project:${project}:workspace:${workspace}`,
      terraform_run_phase: phase,
    },
  };
}

/** An application that signs in as itself. */
export function applicationClient(clientId: string, claims: Readonly<Record<string, unknown>>): OutsideClient {
  return { clientId, clientSecret: newSecret(), claims };
}

const stopPatienceMs = 5_000;

/** Starts the provider. It ends with `stop`, or with this process. */
export async function startOidcProvider(order: ProviderOrder): Promise<OidcProvider> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('oidc-provider-process.ts', import.meta.url))], { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const exit = once(child, 'exit');
  child.stdin.on('error', () => undefined); // of a child that is gone; its exit says so
  child.stdin.write(`${JSON.stringify(order)}\n`);
  const first = createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  const ready = await Promise.race([first, exit.then(() => null)]);
  if (ready === null || ready.done === true) throw new Error(`the OpenID provider did not start: ${said}`);
  const { url: origin } = JSON.parse(ready.value) as { url: string };
  const issuers = { terraform: `${origin}/terraform`, corporate: `${origin}/corporate` };
  return {
    origin,
    issuers,
    token: (clientId, audience) => askForToken({ issuers, order, clientId, audience }),
    async stop() {
      child.stdin.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), stopPatienceMs);
      await exit;
      clearTimeout(timer);
    },
  };
}

interface TokenWish {
  readonly issuers: Readonly<Record<OutsideIssuer, string>>;
  readonly order: ProviderOrder;
  readonly clientId: string;
  readonly audience: string;
}

async function askForToken({ issuers, order, clientId, audience }: TokenWish): Promise<string> {
  for (const issuer of ['terraform', 'corporate'] as const) {
    const client = order.clients[issuer].find((one) => one.clientId === clientId);
    if (client === undefined) continue;
    const configuration = await discovery(new URL(issuers[issuer]), clientId, client.clientSecret, undefined, { execute: [allowInsecureRequests] });
    return (await clientCredentialsGrant(configuration, { resource: audience })).access_token;
  }
  throw new Error(`no issuer has a client \`${clientId}\``);
}

function newSecret(): string {
  return randomBytes(32).toString('base64url');
}
