/** `npm run demo` as a visitor runs it, on this machine and on one where no step can be isolated. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { onlyIn } from '#test/mode.ts';
import { plainEnvironment } from '#test/serve-process.ts';

const demo = fileURLToPath(new URL('../../scripts/demo.ts', import.meta.url));
/** The demo gives up by itself before. */
const timeout = 200_000;
/** What it promises to check; one that is dropped has to be dropped here too. */
const claims = 30;

/** Where the runner looks for `bwrap`; a file without the right to be executed is none. */
const withoutBubblewrap = 'for d in /usr/bin /bin /usr/sbin /sbin /usr/local/bin; do [ ! -e $d/bwrap ] || mount --bind /dev/null $d/bwrap || exit 1; done';
/** A user who is not root and has the files of whoever runs this. */
const asNobodySpecial = 'exec unshare --user --map-user=1000 --map-group=1000 -- "$@"';
/** Runs what follows on a machine like this one, but without bubblewrap and without root: there is no isolation then. */
const withoutIsolation = ['unshare', '--user', '--map-root-user', '--mount', '--', 'sh', '-c', `${withoutBubblewrap}\n${asNobodySpecial}`, 'sh'] as const;

const places: string[] = [];
after(() => places.forEach((place) => rmSync(place, { recursive: true, force: true })));

interface Played {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What it left in its temporary directory. */
  readonly left: readonly string[];
}

async function play(prefix: readonly string[] = []): Promise<Played> {
  const place = mkdtempSync(join(tmpdir(), 'demo-test-'));
  places.push(place);
  const [program = '', ...args] = [...prefix, process.execPath, demo];
  const child = spawn(program, args, { env: plainEnvironment({ TMPDIR: place }), stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit') as Promise<[number | null]>]);
  return { code, stdout, stderr, left: readdirSync(place) };
}

function assertAllHold({ code, stdout, stderr, left }: Played): void {
  assert.equal(code, 0, stdout + stderr);
  assert.equal(stderr, '');
  assert.equal(stdout.match(/^ {3}✓ /gm)?.length, claims, stdout);
  assert.match(stdout, new RegExp(`All ${claims} claims hold`));
  assert.deepEqual(left, []);
}

function canBeWithoutIsolation(): boolean {
  const [program, ...args] = withoutIsolation;
  return spawnSync(program, [...args, 'true']).status === 0;
}

describe('the demo', () => {
  test('checks every claim it makes, and leaves nothing behind', { timeout }, async () => {
    assertAllHold(await play());
  });

  test('does so where no step can be isolated, and says that it accepted that', { timeout, skip: onlyIn('long') || (canBeWithoutIsolation() ? false : 'needs: user namespaces') }, async () => {
    const played = await play(withoutIsolation);
    assertAllHold(played);
    assert.match(played.stdout, /NOTE: steps cannot be isolated on this machine; the runner was started with --unsafe-local-runner/);
  });
});
