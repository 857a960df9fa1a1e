import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { SandboxWorld } from './sandbox-world.ts';
import { stepSystemCallFilter } from './system-calls.ts';

const world = new SandboxWorld();
after(() => world.close());

const [allow, EPERM, ENOSYS] = [0x7fff_0000, 0x0005_0001, 0x0005_0026];
const x64 = 0xc000_003e;
const arm64 = 0xc000_00b7;

interface Call {
  readonly audit: number;
  readonly number: number;
  readonly firstArgument?: number;
}

/** What the kernel would answer: classic BPF, the five instructions filters of ours consist of. */
function answer(filter: Buffer, { audit, number, firstArgument = 0 }: Call): number {
  const fields = new Map([[0, number], [4, audit], [16, firstArgument]]);
  let accumulator = 0;
  for (let at = 0; at < filter.length / 8; at += 1) {
    const code = filter.readUInt16LE(at * 8);
    const k = filter.readUInt32LE(at * 8 + 4);
    if (code === 0x06) return k;
    if (code === 0x20) {
      accumulator = fields.get(k) ?? assert.fail(`no field at ${k}`);
      continue;
    }
    const holds = { 0x15: accumulator === k, 0x35: accumulator >= k, 0x45: (accumulator & k) !== 0 }[code];
    at += filter.readUInt8(at * 8 + (holds ?? assert.fail(`no such instruction ${code}`) ? 2 : 3));
  }
  return assert.fail('the filter has no end');
}

describe('the system call filter', () => {
  const rows: readonly [string, string, Call, number][] = [
    ['reading is allowed', 'x64', { audit: x64, number: 0 }, allow],
    ['a thread may be made', 'x64', { audit: x64, number: 56, firstArgument: 0x3d_0f00 }, allow],
    ['mount namespaces are left to the kernel', 'x64', { audit: x64, number: 272, firstArgument: 0x2_0000 }, allow],
    ['a user namespace cannot be made by clone', 'x64', { audit: x64, number: 56, firstArgument: 0x1002_0011 }, EPERM],
    ['a user namespace cannot be made by unshare', 'x64', { audit: x64, number: 272, firstArgument: 0x1000_0000 }, EPERM],
    ['clone3 is not there', 'x64', { audit: x64, number: 435 }, ENOSYS],
    ['keyctl is refused', 'x64', { audit: x64, number: 250 }, EPERM],
    ['the numbers of x32 are not there', 'x64', { audit: x64, number: 0x4000_0000 + 250 }, ENOSYS],
    ['32-bit calls are not there', 'x64', { audit: 0x4000_0003, number: 3 }, ENOSYS],
    ['another architecture is not there', 'x64', { audit: arm64, number: 63 }, ENOSYS],
    ['reading is allowed on arm', 'arm64', { audit: arm64, number: 63 }, allow],
    ['a user namespace cannot be made by clone on arm', 'arm64', { audit: arm64, number: 220, firstArgument: 0x1000_0011 }, EPERM],
    ['a user namespace cannot be made by unshare on arm', 'arm64', { audit: arm64, number: 97, firstArgument: 0x1000_0000 }, EPERM],
    ['keyctl is refused on arm', 'arm64', { audit: arm64, number: 219 }, EPERM],
    ['32-bit calls are not there on arm', 'arm64', { audit: 0x4000_0028, number: 3 }, ENOSYS],
  ];
  for (const [guarantee, architecture, call, expected] of rows) {
    test(guarantee, () => {
      const filter = stepSystemCallFilter(architecture) ?? assert.fail('there is a filter');
      assert.equal(answer(filter, call), expected);
    });
  }

  test('is left out on an architecture whose numbers are not known', () => {
    assert.equal(stepSystemCallFilter('riscv64'), null);
  });
});

describe('on this kernel', async () => {
  const { isolation, explained } = await world.isolation('bubblewrap');
  const bare = (await world.isolation('none')).isolation;
  const skip = isolation.kind === 'bubblewrap' && isolation.systemCallFilter !== null ? false : `needs: ${explained}`;
  const keyctl = process.arch === 'x64' ? 250 : 219;
  const rows = [
    ['the keyring of the runner is out of reach', `perl -e 'print syscall(${keyctl}, 0, -3, 1) >= 0 ? "DONE" : "$!"'`],
    ['a step makes no user namespace', 'unshare --user echo DONE'],
  ] as const;
  for (const [guarantee, script] of rows) {
    test(guarantee, { skip }, async () => {
      assert.match((await world.run({ isolation: bare, script })).stdout, /DONE/);
      const step = await world.run({ isolation, script });
      assert.doesNotMatch(step.stdout, /DONE/);
      assert.match(step.stdout + step.stderr, /not permitted/);
    });
  }
});
