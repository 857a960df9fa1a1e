/** The file `audit export` writes: JSON lines, each a batch of rows with checkpoints and public keys. Format 1. */
import { z } from 'zod';
import { refusal } from '#kernel/errors.ts';
import type { Kept } from './kept.ts';
import { checkpointOf } from './kept.ts';
import { checkpointForm } from './schema.ts';
import type { TrailPart, Verification } from './verify.ts';
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
  checkpoints: z.array(checkpointForm.transform(checkpointOf)),
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

/**
 * Verifies exported lines without a server, one line after the other: a trail may be larger than memory. With what was kept
 * elsewhere the trail must be the one that was signed over then, and every checkpoint is held against the keys of then;
 * without it, against those the export brings.
 */
export async function verifyExport(lines: AsyncIterable<string>, kept: Kept | null = null): Promise<Verification> {
  const batches = batchesOf(lines);
  const { value: first } = await batches.next();
  if (first === undefined) throw refusal('request.malformed', { say: 'the export is empty' });
  if (kept !== null && kept.accountId !== first.account) throw refusal('request.malformed', { say: `the export is of the account ${first.account}, and the checkpoints are of ${kept.accountId}` });
  async function* parts(): AsyncGenerator<TrailPart> {
    yield first as TrailPart;
    for await (const batch of batches) {
      if (batch.account !== first!.account) throw refusal('request.malformed', { say: `the export is of two accounts, ${first!.account} and ${batch.account}` });
      yield batch as TrailPart;
    }
  }
  return verifyTrail({ accountId: first.account, parts: parts(), keys: kept?.keys ?? first.keys, anchors: kept?.checkpoints ?? [] });
}

async function* batchesOf(lines: AsyncIterable<string>): AsyncGenerator<Batch, undefined> {
  let number = 0;
  for await (const line of lines) if (line.trim() !== '') yield readBatch(line, ++number);
}
