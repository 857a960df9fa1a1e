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

/** Rows in order, and the checkpoints that are about them. */
export interface TrailPart {
  readonly rows: readonly VerifiableRow[];
  readonly checkpoints: readonly Checkpoint[];
}

export interface VerifyInput {
  readonly accountId: string;
  /** Looked at one after the other and not kept. */
  readonly parts: AsyncIterable<TrailPart>;
  readonly keys: readonly Readonly<Record<string, unknown>>[];
  /** Where the parts begin, with the link of the row there as it is stored; absent = at the beginning. */
  readonly from?: { readonly seq: number; readonly link: Buffer | null };
  /** The parts end here and the trail goes on; absent = they end where the trail does. */
  readonly through?: number;
  /** Checkpoints kept elsewhere: what they say must still be so. Only those of rows looked at are asked. */
  readonly anchors?: readonly Checkpoint[];
  /** What only the database itself can tell, of the end of the trail. */
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
  const { accountId, from = { seq: 0, link: zeroLink }, through = null } = input;
  const findings: Finding[] = [];
  const find = (seq: number, problem: string): void => void (findings.length < maxFindings && findings.push({ seq, problem }));
  const keys = new Map(input.keys.map((jwk) => [String(jwk['kid']), publicKeyOf(jwk)]));
  const anchors = (input.anchors ?? []).filter(({ seq }) => seq > from.seq && (through === null || seq <= through));
  const kept = new Map(anchors.map(({ seq }) => [seq, null as Buffer | null]));
  const walk: Walk = { seq: from.seq, link: from.link ?? zeroLink, erasedFields: 0, find };
  if (from.link === null) find(from.seq, 'the row is missing');
  let checkpoints = 0;
  let coveredTo = 0;
  for await (const part of input.parts) {
    const links = new Map(part.checkpoints.map(({ seq }) => [seq, null as Buffer | null]));
    for (const row of part.rows) {
      step(walk, row);
      if (links.has(row.seq)) links.set(row.seq, row.link);
      if (kept.has(row.seq)) kept.set(row.seq, row.link);
    }
    for (const checkpoint of part.checkpoints) {
      checkCheckpoint(accountId, checkpoint, { keys, link: links.get(checkpoint.seq) ?? null, find, name: 'checkpoint' });
      coveredTo = Math.max(coveredTo, checkpoint.seq);
    }
    checkpoints += part.checkpoints.length;
  }
  for (const anchor of anchors) checkCheckpoint(accountId, anchor, { keys, link: kept.get(anchor.seq) ?? null, find, name: 'checkpoint kept elsewhere' });
  if (through !== null && walk.seq < through) find(walk.seq + 1, missing(walk.seq + 1, through));
  if (through === null) checkEnd(walk, { ...input, coveredTo });
  return { rows: walk.seq - from.seq, checkpoints, erasedFields: walk.erasedFields, findings };
}

/** Where the verification is. */
interface Walk {
  seq: number;
  link: Buffer;
  erasedFields: number;
  readonly find: (seq: number, problem: string) => void;
}

function step(walk: Walk, row: VerifiableRow): void {
  const { seq, find } = walk;
  if (row.seq !== seq + 1) find(seq + 1, row.seq > seq ? missing(seq + 1, row.seq - 1) : 'rows are out of order');
  walk.seq = row.seq;
  walk.erasedFields += checkRow(row, find);
  const link = linkOf(walk.link, row.seq, leafOf(row.event, row.commitments));
  if (!link.equals(row.link)) find(row.seq, 'the row or its place in the chain was changed');
  // What was stored goes on, so that one change is one finding and not all after it.
  walk.link = row.link;
}

function missing(first: number, last: number): string {
  return `rows ${first} to ${last} are missing`;
}

function checkEnd({ seq, find }: Walk, { database, coveredTo, from }: Pick<VerifyInput, 'database' | 'from'> & { readonly coveredTo: number }): void {
  if (coveredTo < seq && seq > (from?.seq ?? 0)) find(seq, 'the last rows are not covered by a checkpoint');
  if (database === undefined) return;
  if (database.headSeq !== seq) find(seq, `the trail ends here, but row ${database.headSeq} was the last to be numbered`);
  for (const id of database.strays) find(0, `the row ${id} is in no place of the chain`);
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
