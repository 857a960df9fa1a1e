/**
 * `npm run demo [-- --keep]`: the product in a minute, in a temporary directory. Every sentence with a tick is checked;
 * the exit code is 0 only if all of them hold. `--keep` leaves everything running until Ctrl-C.
 */
import { parseArgs } from 'node:util';
import type { PartnerRequest } from '#test/parties/partner.ts';
import { NotSo, createNarrator } from './demo-narrator.ts';
import type { Narrator } from './demo-narrator.ts';
import { Endings, password, setStage } from './demo-stage.ts';
import type { CliResult, Stage } from './demo-stage.ts';

/** It takes a third of this on two idle cores; whoever waits longer waits for something that does not come. */
const patienceMs = 180_000;
const api = '/api/v1/accounts/default';

interface Play {
  readonly stage: Stage;
  readonly tell: Narrator;
  /** Token of the administrator. */
  readonly admin: string;
}

interface AuditRow {
  readonly action: string;
  readonly outcome: string;
  readonly resource: { readonly path: string | null } | null;
  readonly detail?: { readonly code?: string; readonly evidence?: { readonly permission?: string; readonly scope?: string } };
}

async function main(keep: boolean): Promise<void> {
  const endings = new Endings();
  const stopped = Promise.withResolvers<never>();
  let isOver = false;
  const stop = (why: string): void => {
    isOver = true; // what still runs has nothing more to tell
    stopped.reject(new NotSo(why));
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop(`ended by ${signal}`));
  const patience = setTimeout(() => stop(`not at its end after ${patienceMs / 1_000} s`), patienceMs);
  const tell = createNarrator((line) => void (isOver || console.log(line)), process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined);
  try {
    const played = play(tell, endings);
    const left = await Promise.race([played, stopped.promise]);
    clearTimeout(patience);
    if (keep) await Promise.race([leaveRunning(tell, left), stopped.promise.catch(() => undefined)]);
  } catch (error) {
    console.error(`\n${error instanceof NotSo ? error.message : error instanceof Error ? error.stack : String(error)}`);
    process.exitCode = 1;
  } finally {
    clearTimeout(patience);
    await endings.run();
  }
}

async function play(tell: Narrator, endings: Endings): Promise<Play> {
  const start = performance.now();
  const { stage, admin } = await begin(tell, endings);
  const parts = { stage, tell, admin };
  await workspaceComesIn(parts);
  const application = await applicationRecoversItself(parts);
  await anotherApplication(parts);
  await whatTheTrailSays(parts);
  await trustEnds(parts, application);
  tell.say('');
  tell.say(`All ${tell.checked} claims hold; it took ${((performance.now() - start) / 1_000).toFixed(1)} s.`);
  return parts;
}

async function leaveRunning(tell: Narrator, { stage, admin }: Play): Promise<void> {
  tell.say('Left running until Ctrl-C. To look around:');
  tell.command(`export SALLYPORT_URL=${stage.url} SALLYPORT_TOKEN_FILE=${stage.file('admin-token', admin)}`);
  await new Promise(() => undefined);
}

async function begin(tell: Narrator, endings: Endings): Promise<{ stage: Stage; admin: string }> {
  tell.chapter('The stage');
  const stage = await setStage(endings);
  tell.say(`an OpenID provider at ${stage.provider.origin}: Terraform runs, and the company's applications`);
  tell.say(`a server with its own database at ${stage.url}, and a runner`);
  if (stage.isolation === 'none') tell.say('NOTE: steps cannot be isolated on this machine; the runner was started with --unsafe-local-runner');
  else tell.say(`steps are isolated by ${stage.isolation}`);
  tell.command('sallyport setup --code … --email admin@example.com');
  const setup = await stage.cli(['setup', '--code', stage.setupCode, '--email', 'admin@example.com', '--password-file', stage.file('password', 'long enough for a demo')]);
  const admin = setup.stdout.trim();
  tell.check('the setup code made the first administrator', setup.code === 0, setup.stderr);
  tell.command('sallyport apply -f examples/quickstart');
  const applied = await stage.cli(['apply', '-f', stage.manifests], admin);
  tell.check(`the example is applied: ${applied.stdout.trim().split('\n').at(-1)}`, applied.code === 0, applied.stderr);
  return { stage, admin };
}

async function workspaceComesIn(play: Play): Promise<void> {
  const { stage, tell } = play;
  tell.chapter('Claims in: a Terraform run administers one project, and has no credential of ours');
  const session = await exchange(play, 'checkout_run', 'the run of workspace `checkout`');
  tell.command('sallyport check me pipeline.edit payments/checkout/recover');
  const mine = await stage.cli(['check', 'me', 'pipeline.edit', 'payments/checkout/recover'], session);
  tell.quote(mine.stdout);
  tell.check('it may edit pipelines of payments/checkout', mine.code === 0, mine);
  const body = { permission: 'pipeline.edit', resource: 'payments/ledger/recover' };
  const elsewhere = await stage.call({ method: 'POST', path: `${api}/access:check`, body }, session);
  tell.check('it may not in payments/ledger', (elsewhere.body as { allowed?: boolean }).allowed === false, elsewhere.body);
  const other = await stage.cli(exchangeArguments(stage, 'playground_run', await stage.provider.token('playground_run', stage.issuer)));
  tell.check('a run of workspace `playground`, with a token just as genuine, is not let in', other.code === 1 && other.stdout === '', other);
  tell.quote(other.stderr);
  const items = await audit(play, { action: 'session.refused' });
  tell.check('the administrator reads why: no claim mapping fits', items[0]?.detail?.code === 'trust.no_mapping', items);
}

async function applicationRecoversItself(play: Play): Promise<string> {
  const { stage, tell } = play;
  tell.chapter('An application recovers itself, and nothing else');
  const session = await exchange(play, 'app_x', 'application `app_x`');
  const run = await runRecovery(play, 'payments/checkout/recover', session);
  tell.quote(run.stdout);
  const [build, deploy] = stage.partner.accepted;
  tell.check('its own recovery pipeline ran to the end', run.code === 0, run);
  checkMasked(play, run);
  tell.say('the partner found our keys by discovery and verified both tokens:');
  checkClaims(play, [build, deploy], { project_id: 'checkout', application: 'app_x' });
  tell.command('sallyport run payments/ledger/recover');
  const [refused, absent] = await Promise.all([stage.cli(['run', 'payments/ledger/recover'], session), stage.cli(['run', 'payments/ledger/no_such_pipeline'], session)]);
  tell.quote(refused.stderr);
  tell.check('the pipeline of another application is refused', refused.code === 1);
  tell.check('in the same words as one that does not exist', opaque(refused) === opaque(absent), [refused.stderr, absent.stderr]);
  const items = await audit(play, { action: 'execution.start', outcome: 'refused' });
  const { permission, scope } = items[0]?.detail?.evidence ?? {};
  tell.check(`the administrator reads what was missing: ${permission} in ${scope}`, permission === 'pipeline.execute' && scope === 'payments/ledger', items);
  return session;
}

async function anotherApplication(play: Play): Promise<void> {
  const { stage, tell } = play;
  tell.chapter('Tokens out: one connector of the account serves every project');
  const session = await exchange(play, 'app_y', 'application `app_y`');
  const run = await runRecovery(play, 'payments/ledger/recover', session);
  tell.check('its own recovery pipeline, in another project, ran to the end', run.code === 0, run);
  checkMasked(play, run);
  checkClaims(play, stage.partner.accepted.slice(2), { project_id: 'ledger', application: 'app_y' });
  const connectors = new Set(stage.partner.accepted.map(({ claims }) => claims['connector_id']));
  tell.check('all four tokens came from the one connector `partner`', stage.partner.accepted.length === 4 && connectors.size === 1, [...connectors]);
  tell.check('the partner refused nothing', stage.partner.refused.length === 0, stage.partner.refused);
}

async function whatTheTrailSays(play: Play): Promise<void> {
  const { stage, tell, admin } = play;
  tell.chapter('The trail');
  const claim = '{"application_id":"app_x"}';
  tell.command(`sallyport audit list --claim '${claim}'`);
  const listed = await stage.cli(['audit', 'list', '--claim', claim], admin);
  tell.quote(listed.stdout);
  const items = await audit(play, { claim });
  const actions = items.map((row) => `${row.outcome} ${row.action}`).toSorted();
  // Two refusals: the pipeline of another application, and the one that does not exist.
  const refused = ['refused execution.start', 'refused execution.start'];
  const expected = [...refused, 'success execution.start', 'success secret.use', 'success session.create', 'success token.mint', 'success token.mint'];
  tell.check('what `app_x` did is found by a claim of its token: all of it and nothing else', actions.join() === expected.join(), actions);
  tell.command('sallyport audit verify');
  const verified = await stage.cli(['audit', 'verify'], admin);
  tell.quote(verified.stdout);
  tell.check('nobody changed the trail', verified.code === 0 && verified.stdout.includes('unchanged'), verified);
}

async function trustEnds(play: Play, session: string): Promise<void> {
  const { stage, tell, admin } = play;
  tell.chapter('Trust ends at once');
  const before = await stage.call({ method: 'GET', path: `${api}/orgs/payments/projects/checkout/pipelines` }, session);
  tell.check('the session of `app_x` is alive', before.status === 200 && JSON.stringify(before.body).includes('payments/checkout/recover'), before);
  tell.command('sallyport delete TrustedIssuer corporate --cascade');
  const removed = await stage.cli(['delete', 'TrustedIssuer', 'corporate', '--cascade'], admin);
  tell.check('the issuer is removed', removed.code === 0, removed);
  tell.command('sallyport get Pipeline payments/checkout/');
  const after = await stage.cli(['get', 'Pipeline', 'payments/checkout/'], session);
  tell.quote(after.stderr);
  tell.check('the session died with it', after.code === 1 && after.stderr.includes('[credential.invalid]'), after);
  const again = await stage.cli(exchangeArguments(stage, 'app_x', await stage.provider.token('app_x', stage.issuer)));
  tell.check('and a new token gets no new one', again.code === 1 && again.stdout === '', again);
}

/** Trades a fresh outside token for a session. */
async function exchange({ stage, tell }: Play, client: string, who: string): Promise<string> {
  const token = await stage.provider.token(client, stage.issuer);
  tell.command('sallyport token exchange --token-file oidc-token');
  const answer = await stage.cli([...exchangeArguments(stage, client, token), '--json']);
  const session = answer.code === 0 ? (JSON.parse(answer.stdout) as { access_token: string; expires_in: number }) : null;
  tell.check(`${who} gets a session${session === null ? '' : ` of ${session.expires_in} s`} for its token`, session !== null, answer.stderr);
  return session!.access_token;
}

function exchangeArguments(stage: Stage, client: string, token: string): string[] {
  return ['token', 'exchange', '--token-file', stage.file(`${client}.jwt`, token)];
}

function runRecovery({ stage, tell }: Play, pipeline: string, session: string): Promise<CliResult> {
  tell.command(`sallyport run ${pipeline} --input partner=${stage.partner.address} --follow`);
  return stage.cli(['run', pipeline, '--input', `partner=${stage.partner.address}`, '--follow'], session);
}

/** No token and no password that any step was given is in what was printed. */
function checkMasked({ stage, tell }: Play, { stdout, stderr }: CliResult): void {
  const secrets = [password, ...stage.partner.accepted.map(({ token }) => token)];
  const leaked = secrets.filter((secret) => (stdout + stderr).includes(secret));
  tell.check('the steps printed their token and password; the log shows neither', leaked.length === 0 && stdout.includes('***'), stdout);
}

function checkClaims({ stage, tell }: Play, requests: readonly (PartnerRequest | undefined)[], expected: { readonly project_id: string; readonly application: string }): void {
  const [build, deploy] = requests.map((request) => request?.claims ?? {});
  const { project_id: project, application } = expected;
  const origin = [build, deploy].every((claims) => (claims?.['origin'] as { iss?: string; sub?: string } | undefined)?.sub === application);
  const own = [build, deploy].every((claims) => claims?.['project_id'] === project && claims.iss === stage.issuer);
  tell.check(`they say project \`${project}\`, and that \`${application}\` started the run`, own && origin, requests);
  tell.check('in the CI stage environment_id is null', build?.['stage_type'] === 'CI' && build['environment_id'] === null && build['service_id'] === null, build);
  tell.check('in the deployment environment_id is `prod`', deploy?.['stage_type'] === 'Deployment' && deploy['environment_id'] === 'prod' && deploy['environment_type'] === 'Production', deploy);
}

/** Without the number of the request. */
function opaque({ stdout, stderr }: CliResult): string {
  return (stdout + stderr).replace(/^ *request .*$/gm, '');
}

async function audit({ stage, admin }: Play, filter: Readonly<Record<string, string>>): Promise<readonly AuditRow[]> {
  const answer = await stage.call({ method: 'GET', path: `${api}/audit?${new URLSearchParams(filter)}` }, admin);
  if (answer.status !== 200) throw new NotSo(`the trail cannot be read: ${JSON.stringify(answer.body)}`);
  return (answer.body as { items: AuditRow[] }).items;
}

await main(parseArgs({ options: { keep: { type: 'boolean', default: false } } }).values.keep);
