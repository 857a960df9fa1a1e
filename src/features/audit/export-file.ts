/** The file `audit export` writes: JSON lines, each a batch of rows with checkpoints and public keys. Format 1. */
import { z } from 'zod';
import { refusal } from '#kernel/errors.ts';
import type { Checkpoint, VerifiableRow, Verification } from './verify.ts';
import { verifyTrail } from './verify.ts';

const hexBytes = z.string().regex(/^(?:[0-9a-f]{2})+$/).transform((text) => Buffer.from(text, 'hex'));
const instant = z.iso.datetime().transform((text) => new Date(text));
const text = z.string().nullable();

const exportedRow = z.object({
  seq: z.number().int().positive(),
  format: z.number().int(),
  event: z.object({
    accountId: z.uuid(), id: z.uuid(), at: instant, actorType: text, actorUid: text, via: text, action: z.string(), resourceKind: text, resourceUid: text,
    resourcePath: text, scope: z.string(), outcome: z.enum(['success', 'refused', 'failed']), sessionId: text, requestId: z.string(), detail: z.unknown(),
  }),
  commitments: z.record(z.string(), z.string()),
  personal: z.record(z.string(), z.object({ salt: z.string(), value: z.unknown() })),
  link: hexBytes,
});

const exportedBatch = z.object({
  account: z.uuid(),
  rows: z.array(exportedRow),
  checkpoints: z.array(z.object({
    seq: z.number().int(), link: hexBytes, at: instant, keyId: z.string(), signature: z.base64url().transform((encoded) => Buffer.from(encoded, 'base64url')),
  })),
  keys: z.array(z.record(z.string(), z.unknown())),
});

type Batch = z.infer<typeof exportedBatch>;

function readBatch(line: string, number: number): Batch {
  try {
    return exportedBatch.parse(JSON.parse(line));
  } catch (cause) {
    throw refusal('request.malformed', { say: `line ${number} is not part of an audit export`, cause });
  }
}

/** Verifies exported lines without a server. Keys are taken from the export unless others are given. */
export async function verifyExport(lines: AsyncIterable<string>, keys?: readonly Readonly<Record<string, unknown>>[]): Promise<Verification> {
  const batches: Batch[] = [];
  let number = 0;
  for await (const line of lines) if (line.trim() !== '') batches.push(readBatch(line, ++number));
  const [first] = batches;
  if (first === undefined) throw refusal('request.malformed', { say: 'the export is empty' });
  async function* rows(): AsyncGenerator<VerifiableRow> {
    for (const batch of batches) yield* batch.rows as VerifiableRow[];
  }
  return verifyTrail({
    accountId: first.account,
    rows: rows(),
    checkpoints: batches.flatMap((batch) => batch.checkpoints as Checkpoint[]),
    keys: keys ?? first.keys,
  });
}
