/**
 * As a run of HCP Terraform does it: a token in `TFC_WORKLOAD_IDENTITY_TOKEN`, and nothing but the documented API over HTTP.
 * The provider of the run creates, reads and deletes one kind, and is refused another.
 */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { only, startTrustWorld } from '../test/api/trust-world.ts';
import type { TrustWorld } from '../test/api/trust-world.ts';
import { terraformClaims } from '../test/parties/issuer.ts';

let world: TrustWorld;
before(async () => {
  world = await startTrustWorld();
  await world.server.apply([only('provisions', { grants: [{ role: 'project_admin', scope: 'payments/checkout', resources: [{ type: 'service' }] }] })]);
});

test('a token in TFC_WORKLOAD_IDENTITY_TOKEN creates, reads and deletes one kind, and is refused another', async () => {
  const program = fileURLToPath(new URL('terraform-provider.ts', import.meta.url));
  const environment = { PATH: process.env['PATH'] ?? '', SALLYPORT_URL: world.server.url, TFC_WORKLOAD_IDENTITY_TOKEN: world.hcp.token(terraformClaims({ terraform_workspace_id: 'provisions' })) };
  const { spawn } = await import('node:child_process');
  const said = await new Promise<string>((resolve, reject) => {
    const child = spawn(process.execPath, [program], { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
    child.on('error', reject).on('exit', () => resolve(text));
  });
  assert.deepEqual(JSON.parse(said), { exchange: 200, create: 201, read: 200, name: 'The web shop', remove: 204, gone: 404, other: 'refused' });
  const rows = await world.audit({ claim: '{"terraform_workspace_id":"provisions"}', below: 'true', action: 'service.create' });
  assert.equal(rows.length, 1, 'and the audit knows the run');
});
