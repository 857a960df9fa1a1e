/**
 * Steps that know nothing of Sallyport reach Google Cloud: a tool reads the key file its variable names and takes the token
 * from the file there (the Liquibase way), another asks the url that its key file names. The real runner and its sandbox.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { before, test } from 'node:test';
import type { ExecutionView } from '#features/executions/schema.ts';
import { Runs, checkout, runWorld } from '#test/api/runs.ts';
import { atEnd } from '#test/endings.ts';
import { startGcp } from '#test/parties/gcp.ts';
import type { Gcp } from '#test/parties/gcp.ts';
import { RunnerProcess, runnerHome } from '#test/runners/runner-process.ts';
import { makeRegistration } from '#test/runners/runner-server.ts';
import { startTestServer } from '#test/server.ts';
import type { TestServer } from '#test/server.ts';
import { until } from '#test/until.ts';

const provider = { projectNumber: '123456789', poolId: 'delivery', providerId: 'sallyport' };
const skip = existsSync('/usr/bin/curl') ? false : 'needs: curl';

/** What a library of Google does with its key file. */
const library = `
set -eu
field() { sed -n 's/.*"'"$1"'":"\\([^"]*\\)".*/\\1/p' "$GOOGLE_APPLICATION_CREDENTIALS"; }
exchange() {
  curl -sS --fail --data-urlencode grant_type=urn:ietf:params:oauth:grant-type:token-exchange --data-urlencode "audience=$(field audience)" \\
    --data-urlencode requested_token_type=urn:ietf:params:oauth:token-type:access_token --data-urlencode "subject_token_type=$(field subject_token_type)" \\
    --data-urlencode "subject_token=$1" "$(field token_url)" >/dev/null
}
`;

let gcp: Gcp;
let server: TestServer;
let runs: Runs;
before(async () => {
  gcp = await startGcp(provider);
  atEnd(() => gcp.stop());
  server = await startTestServer({ settings: { allowPrivateOrigin: [gcp.url], cloudEndpoint: [`gcp_sts=${gcp.url}`] } });
  gcp.trust(`${server.url}/accounts/default`);
  runs = new Runs(server);
  const step = (identifier: string, script: string, as: string[]) => ({ step: { identifier, type: 'Run', identities: { GOOGLE: { connector: 'account.gcp', as } }, spec: { shell: 'Bash', command: library + script } } });
  const steps = [
    step('migrate', 'token="$(cat "$(field file)")"; exchange "$token"; echo "used $token"', ['file']),
    step('upload', 'token="$(curl -sS --fail -H "Authorization: $(field Authorization)" "$(field url)" | sed \'s/.*"value":"\\([^"]*\\)".*/\\1/\')"; exchange "$token"; echo "used $token"', ['endpoint']),
  ];
  await server.apply([
    ...runWorld,
    { kind: 'Connector', identifier: 'gcp', spec: { type: 'gcp_oidc', ...provider, usableFrom: ['payments/**'] } },
    { kind: 'Pipeline', scope: checkout, identifier: 'reach', spec: { pipeline: { stages: [{ stage: { identifier: 'build', type: 'CI', spec: { execution: { steps } } } }] } } },
  ]);
  await new RunnerProcess(server.url, runnerHome(await makeRegistration(server))).ready();
});

test('tools that read files and tools that ask a url get their credentials, and their logs show none', { skip }, async () => {
  const run = await runs.start('reach');
  const ended = await until(async () => {
    const shown: ExecutionView = await runs.show(run);
    return ['Success', 'Failed', 'Errored', 'Aborted', 'Expired'].includes(shown.status) ? shown : null;
  }, 'the end of the run', { patienceMs: 45_000 });
  const logs = JSON.stringify((await runs.call(run, { below: '/logs' })).body);
  assert.equal(ended.status, 'Success', `${JSON.stringify(ended)} ${logs}`);
  assert.deepEqual(gcp.believed.map((claims) => [claims['step_id'], claims['execution_id']]), [['migrate', run.id], ['upload', run.id]]);
  assert.doesNotMatch(logs, /eyJ/);
  const { items } = (await runs.call(run, { below: '/tokens' })).body as { items: { step: string; fate: string }[] };
  assert.deepEqual(items.map(({ step, fate }) => [step, fate]), [['build.upload', 'ended'], ['build.migrate', 'ended']]);
});
