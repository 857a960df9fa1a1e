/** What the demo is played on: a temporary directory, the processes, and how all of it ends whatever happens. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import type { Document } from 'yaml';
import { callRemote } from '#platform/remote.ts';
import type { RemoteAnswer, RemoteRequest } from '#platform/remote.ts';
import { applicationClient, startOidcProvider, workspaceClient } from '#test/parties/oidc-provider.ts';
import type { OidcProvider, OutsideIssuer } from '#test/parties/oidc-provider.ts';
import { startPartner } from '#test/parties/partner.ts';
import type { Partner } from '#test/parties/partner.ts';
import { plainEnvironment, startServe } from '#test/serve-process.ts';
import { detectIsolation } from '../src/runner/detect-isolation.ts';

const repository = fileURLToPath(new URL('..', import.meta.url));

const partnerAudience = 'https://partner.example';

export const password = 'correct-horse-battery-staple';

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Stage {
  readonly url: string;
  /** Issuer URL of the account, which outside tokens must be for. */
  readonly issuer: string;
  readonly provider: OidcProvider;
  readonly partner: Partner;
  /** How steps are kept apart; `none` was accepted for the demo. */
  readonly isolation: string;
  /** The example's manifests with the hosts of this machine. */
  readonly manifests: string;
  /** A file of the temporary directory with this content. */
  file(name: string, content: string): string;
  /** Runs `bin/sallyport` as somebody. */
  cli(args: readonly string[], token?: string): Promise<CliResult>;
  /** Asks the API what the demo wants to know and does not show. */
  call(request: RemoteRequest, token: string | null): Promise<RemoteAnswer>;
  readonly setupCode: string;
}

/** Ends what was started, the latest first. */
export class Endings {
  readonly #endings: (() => Promise<void> | void)[] = [];
  #ended: Promise<void> | undefined;

  add(end: () => Promise<void> | void): void {
    this.#endings.push(end);
  }

  run(): Promise<void> {
    this.#ended ??= this.#run();
    return this.#ended;
  }

  async #run(): Promise<void> {
    for (let end = this.#endings.pop(); end !== undefined; end = this.#endings.pop()) {
      await Promise.resolve(end()).catch((error: unknown) => console.error(`could not be ended: ${String(error)}`));
    }
  }
}

/** Starts everything. What was started is in `endings`, also when this throws. */
export async function setStage(endings: Endings): Promise<Stage> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'sallyport-demo-')));
  endings.add(() => rmSync(directory, { recursive: true, force: true }));
  const provider = await ending(endings, startProvider());
  const isolation = await isolationHere(directory);
  const data = join(directory, 'data');
  const flags = ['--port', '0', '--log-level', 'warn', '--allow-private-origin', provider.origin, ...(isolation === 'none' ? ['--unsafe-local-runner'] : [])];
  const server = await ending(endings, startServe({ data, flags }));
  const issuer = `${server.url}/accounts/default`;
  const partner = await ending(endings, startPartner({ issuer, audience: partnerAudience }));
  const manifests = copyExample(directory, { issuers: provider.issuers, audience: issuer });
  return {
    url: server.url, issuer, provider, partner, isolation, manifests,
    file(name, content) {
      const path = join(directory, name);
      writeFileSync(path, content, { mode: 0o600 });
      return path;
    },
    cli: (args, token) => runCli(server.url, args, token),
    call: (request, token) => callRemote({ url: server.url, token }, request),
    setupCode: readFileSync(join(data, 'setup-code'), 'utf8').trim(),
  };
}

/** Whatever is being started will be ended, also by somebody who does not wait for it to be ready. */
function ending<T extends { stop(): Promise<void> }>(endings: Endings, starting: Promise<T>): Promise<T> {
  endings.add(async () => (await starting.catch(() => null))?.stop());
  return starting;
}

function startProvider(): Promise<OidcProvider> {
  const acme = { organization: 'acme', project: 'shop' };
  return startOidcProvider({
    clients: {
      terraform: [workspaceClient('checkout_run', { ...acme, workspace: 'checkout' }), workspaceClient('playground_run', { ...acme, workspace: 'playground' })],
      corporate: [applicationClient('app_x', { application_id: 'app_x' }), applicationClient('app_y', { application_id: 'app_y' })],
    },
  });
}

/** As the server itself will find out; without one it starts no runner unless told to. */
async function isolationHere(directory: string): Promise<string> {
  const hidden = join(directory, 'hidden');
  await mkdir(hidden, { mode: 0o700 });
  const { isolation } = await detectIsolation({ workRoot: join(directory, 'trial'), hide: [hidden] });
  return isolation.kind;
}

/** The example with the issuers of this machine, whatever the reader has put in their place. */
function copyExample(directory: string, { issuers, audience }: { issuers: OidcProvider['issuers']; audience: string }): string {
  const copy = join(directory, 'quickstart');
  cpSync(join(repository, 'examples/quickstart'), copy, { recursive: true });
  const path = join(copy, 'issuers.yaml');
  const documents = parseAllDocuments(readFileSync(path, 'utf8'));
  for (const document of documents as Document[]) {
    document.setIn(['spec', 'issuer'], issuers[document.get('identifier') as OutsideIssuer]);
    document.setIn(['spec', 'audiences'], [audience]);
  }
  writeFileSync(path, documents.map(String).join(''));
  return copy;
}

function runCli(url: string, args: readonly string[], token: string | undefined): Promise<CliResult> {
  const environment = plainEnvironment({ SALLYPORT_URL: url, DB_PASSWORD: password, ...(token === undefined ? {} : { SALLYPORT_TOKEN: token }) });
  return new Promise((done) => {
    execFile(join(repository, 'bin/sallyport'), args, { env: environment, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}
