/** The peers, installed when they are not there yet; without them the floor alone is what we are compared with. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packages } from '../peers/peers.ts';

export const peerNames = Object.keys(packages) as readonly (keyof typeof packages)[];
const folder = join(import.meta.dirname, '..', 'peers');
const installMs = 120_000;

/** Names of those that can be loaded. Each that cannot is said on standard error. */
export async function installedPeers(): Promise<readonly string[]> {
  await installPeers();
  const found: string[] = [];
  for (const name of peerNames) {
    await packages[name]().then(() => found.push(name), (error: unknown) => console.error(`access: ${name} is absent: ${firstLine(error)}`));
  }
  return found;
}

/** Installs them if nobody has. One that cannot be had is missed when it is used. */
export async function installPeers(): Promise<void> {
  if (existsSync(join(folder, 'node_modules'))) return;
  console.error('access: installing the peers with `npm ci` in bench/peers');
  await promisify(execFile)('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder, timeout: installMs })
    .catch((error: unknown) => console.error(`access: the peers were not installed: ${firstLine(error)}`));
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}
