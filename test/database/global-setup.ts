/** One PostgreSQL for all test files of a run. Also fits `node --test --test-global-setup=test/database/global-setup.ts`. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keepCopiesReady } from './ready-copies.ts';
import { loginsVariable, startTestServer } from './server.ts';

let tearDown: (() => Promise<void>) | undefined;

/** Starts the server and tells the processes started from now on where it is, by a file only this user can read. */
export async function globalSetup(): Promise<void> {
  const server = await startTestServer();
  const copies = await keepCopiesReady(server.owner);
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-logins-'));
  const path = join(directory, 'logins.json');
  writeFileSync(path, JSON.stringify({ owner: server.owner, application: server.application }), { mode: 0o600 });
  process.env[loginsVariable] = path;
  tearDown = async () => {
    delete process.env[loginsVariable];
    rmSync(directory, { recursive: true, force: true });
    await copies.stop().finally(() => server.stop());
  };
}

export async function globalTeardown(): Promise<void> {
  await tearDown?.();
  tearDown = undefined;
}
