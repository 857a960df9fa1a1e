/**
 * The system calls a step under bubblewrap does without, as a seccomp filter (classic BPF, `man 2 seccomp`). Left out are
 * those that reach what namespaces do not divide (kernel keyrings, performance counters, modules, the next kernel) and
 * those behind most break-outs of the last years (user namespaces, BPF, userfaultfd, io_uring). A refused call says
 * EPERM, so that programs which try one and go on without it do so.
 */

/** Numbers per architecture: `arch/x86/entry/syscalls/syscall_64.tbl`, `include/uapi/asm-generic/unistd.h` of Linux. */
interface Architecture {
  /** AUDIT_ARCH_* of `linux/audit.h`. */
  readonly audit: number;
  /** From this number on calls are those of another ABI (x32) under the same architecture. */
  readonly foreignFrom?: number;
  readonly clone: number;
  readonly unshare: number;
  readonly refused: Readonly<Record<string, number>>;
}

const sameEverywhere = { io_uring_setup: 425, io_uring_enter: 426, io_uring_register: 427 };

const architectures: Readonly<Record<string, Architecture>> = {
  x64: {
    audit: 0xc000_003e,
    foreignFrom: 0x4000_0000,
    clone: 56,
    unshare: 272,
    refused: {
      ...sameEverywhere, add_key: 248, request_key: 249, keyctl: 250, bpf: 321, perf_event_open: 298, userfaultfd: 323,
      setns: 308, init_module: 175, finit_module: 313, delete_module: 176, kexec_load: 246, kexec_file_load: 320,
    },
  },
  arm64: {
    audit: 0xc000_00b7,
    clone: 220,
    unshare: 97,
    refused: {
      ...sameEverywhere, add_key: 217, request_key: 218, keyctl: 219, bpf: 280, perf_event_open: 241, userfaultfd: 282,
      setns: 268, init_module: 105, finit_module: 273, delete_module: 106, kexec_load: 104, kexec_file_load: 294,
    },
  },
};

/** Its flags lie in memory a filter cannot read; ENOSYS makes the C library use `clone`. The same number everywhere. */
const clone3 = 435;
const CLONE_NEWUSER = 0x1000_0000;

/** Offsets into `struct seccomp_data`. */
const data = { number: 0, architecture: 4, firstArgument: 16 } as const;
const opcode = { load: 0x20, equal: 0x15, atLeast: 0x35, anyBit: 0x45, answer: 0x06 } as const;
const answers = { allow: 0x7fff_0000, EPERM: 0x0005_0001, ENOSYS: 0x0005_0026 } as const;

type Label = 'next' | 'flags' | keyof typeof answers;

interface Instruction {
  readonly code: number;
  readonly k: number;
  readonly label?: Label;
  /** Where a comparison goes; both default to the next instruction. */
  readonly then?: Label;
  readonly otherwise?: Label;
}

/** The filter for `architecture` (`process.arch`) as `bwrap --seccomp` reads it; null where there is none. */
export function stepSystemCallFilter(architecture: string): Buffer | null {
  const known = architectures[architecture];
  if (known === undefined) return null;
  return assemble([
    { code: opcode.load, k: data.architecture },
    { code: opcode.equal, k: known.audit, otherwise: 'ENOSYS' }, // 32-bit programs: every number means something else
    { code: opcode.load, k: data.number },
    ...(known.foreignFrom === undefined ? [] : [{ code: opcode.atLeast, k: known.foreignFrom, then: 'ENOSYS' as const }]),
    ...Object.values(known.refused).map((k) => ({ code: opcode.equal, k, then: 'EPERM' as const })),
    { code: opcode.equal, k: clone3, then: 'ENOSYS' },
    { code: opcode.equal, k: known.clone, then: 'flags' },
    { code: opcode.equal, k: known.unshare, then: 'flags' },
    { label: 'allow', code: opcode.answer, k: answers.allow },
    { label: 'flags', code: opcode.load, k: data.firstArgument },
    { code: opcode.anyBit, k: CLONE_NEWUSER, then: 'EPERM' },
    { code: opcode.answer, k: answers.allow },
    { label: 'EPERM', code: opcode.answer, k: answers.EPERM },
    { label: 'ENOSYS', code: opcode.answer, k: answers.ENOSYS },
  ]);
}

/** `struct sock_filter[]`: u16 code, u8 jump if true, u8 jump if false, u32 k, jumps counted from the next instruction. */
function assemble(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  const distance = (from: number, to: Label = 'next') =>
    to === 'next' ? 0 : program.findIndex(({ label }) => label === to) - from - 1;
  for (const [index, { code, k, then, otherwise }] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(distance(index, then), index * 8 + 2);
    bytes.writeUInt8(distance(index, otherwise), index * 8 + 3);
    bytes.writeUInt32LE(k, index * 8 + 4);
  }
  return bytes;
}
