/**
 * Verifies an audit trail: of the database, or of an export without one. Any change by someone without the checkpoint key
 * is found; what the key's holder rewrites is found against an exported checkpoint.
 */
import { createPublicKey, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { AuditEvent, Commitments, Salted } from './leaf.ts';
import { checkpointText, commitment, leafFormat, leafOf, linkOf, zeroLink } from './leaf.ts';

export interface VerifiableRow {
  readonly seq: number;
  readonly format: number;
  readonly event: Omit<AuditEvent, 'personal'>;
  readonly commitments: Commitments;
  readonly personal: Salted;
  readonly link: Buffer;
}

export interface Checkpoint {
  readonly seq: number;
  readonly link: Buffer;
  readonly at: Date;
  readonly keyId: string;
  readonly signature: Buffer;
}

export interface VerifyInput {
  readonly accountId: string;
  readonly rows: AsyncIterable<VerifiableRow>;
  /** In order of `seq`. */
  readonly checkpoints: readonly Checkpoint[];
  readonly keys: readonly Readonly<Record<string, unknown>>[];
  /** Checkpoints kept elsewhere: what they say must still be so. */
  readonly anchors?: readonly Checkpoint[];
  /** What only the database itself can tell; absent for an export. */
  readonly database?: { readonly headSeq: number; readonly strays: readonly string[] };
}

export interface Finding {
  readonly seq: number;
  readonly problem: string;
}

export interface Verification {
  readonly rows: number;
  readonly checkpoints: number;
  readonly erasedFields: number;
  readonly findings: readonly Finding[];
}

const maxFindings = 100;

export async function verifyTrail(input: VerifyInput): Promise<Verification> {
  const findings: Finding[] = [];
  const find = (seq: number, problem: string): void => void (findings.length < maxFindings && findings.push({ seq, problem }));
  const keys = new Map(input.keys.map((jwk) => [String(jwk['kid']), publicKeyOf(jwk)]));
  const wanted = new Map([...input.checkpoints, ...(input.anchors ?? [])].map((checkpoint) => [checkpoint.seq, null as Buffer | null]));
  let link: Buffer = zeroLink;
  let seq = 0;
  let erasedFields = 0;
  for await (const row of input.rows) {
    if (row.seq !== seq + 1) find(seq + 1, row.seq > seq ? `rows ${seq + 1} to ${row.seq - 1} are missing` : 'rows are out of order');
    seq = row.seq;
    erasedFields += checkRow(row, find);
    link = linkOf(link, seq, leafOf(row.event, row.commitments));
    if (!link.equals(row.link)) find(seq, 'the row or its place in the chain was changed');
    // What was stored goes on, so that one change is one finding and not all after it.
    link = row.link;
    if (wanted.has(seq)) wanted.set(seq, link);
  }
  for (const checkpoint of input.checkpoints) checkCheckpoint(input.accountId, checkpoint, { keys, link: wanted.get(checkpoint.seq) ?? null, find, name: 'checkpoint' });
  for (const anchor of input.anchors ?? []) checkCheckpoint(input.accountId, anchor, { keys, link: wanted.get(anchor.seq) ?? null, find, name: 'checkpoint kept elsewhere' });
  if ((input.checkpoints.at(-1)?.seq ?? 0) < seq) find(seq, 'the last rows are not covered by a checkpoint');
  if (input.database !== undefined && input.database.headSeq !== seq) find(seq, `the trail ends here, but row ${input.database.headSeq} was the last to be numbered`);
  for (const id of input.database?.strays ?? []) find(0, `the row ${id} is in no place of the chain`);
  return { rows: seq, checkpoints: input.checkpoints.length, erasedFields, findings };
}

/** Null for what is no key: then nothing it is named for is valid. */
function publicKeyOf(jwk: Readonly<Record<string, unknown>>): KeyObject | null {
  try {
    return createPublicKey({ key: jwk as never, format: 'jwk' });
  } catch {
    return null;
  }
}

/** Returns how many personal fields were erased. */
function checkRow(row: VerifiableRow, find: (seq: number, problem: string) => void): number {
  if (row.format !== leafFormat) find(row.seq, `leaf format ${row.format} is not known`);
  let erased = 0;
  for (const [field, committed] of Object.entries(row.commitments)) {
    const salted = row.personal[field as keyof Salted];
    if (salted === undefined) erased += 1;
    else if (commitment(Buffer.from(salted.salt, 'hex'), salted.value) !== committed) find(row.seq, `the personal field \`${field}\` was changed`);
  }
  for (const field of Object.keys(row.personal)) {
    if (!(field in row.commitments)) find(row.seq, `the personal field \`${field}\` was added`);
  }
  return erased;
}

interface CheckpointContext {
  readonly keys: ReadonlyMap<string, KeyObject | null>;
  readonly link: Buffer | null;
  readonly find: (seq: number, problem: string) => void;
  readonly name: string;
}

function checkCheckpoint(accountId: string, checkpoint: Checkpoint, { keys, link, find, name }: CheckpointContext): void {
  const key = keys.get(checkpoint.keyId) ?? null;
  const text = checkpointText({ accountId, ...checkpoint });
  if (key?.asymmetricKeyType !== 'ed25519' || !verify(null, text, key, checkpoint.signature)) find(checkpoint.seq, `the signature of the ${name} is not valid`);
  else if (link === null) find(checkpoint.seq, `the rows up to the ${name} are missing`);
  else if (!link.equals(checkpoint.link)) find(checkpoint.seq, `the trail is not the one the ${name} was signed over`);
}
