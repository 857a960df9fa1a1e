/**
 * `npm run interop`: installs the clients of this folder as its lock says, and tries them against a server of ours. Without
 * a way to the registry it says so, runs what needs none of them, and ends well: nothing was found to be wrong.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('..', import.meta.url));

const installed = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: here, stdio: ['ignore', 'ignore', 'inherit'], timeout: 300_000 });
if (installed.status !== 0) console.error('interop: the clients could not be installed; what needs them is skipped');
const tests = readdirSync(here).filter((name) => name.endsWith('.test.ts')).map((name) => `interop/${name}`);
const { status } = spawnSync(process.execPath, ['--test', '--test-timeout=120000', ...tests], { cwd: root, stdio: 'inherit' });
process.exitCode = status ?? 1;
