/** Checkpoints kept where the operator of the server cannot change them: lines of `audit checkpoint`, or an earlier export. */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { refusal } from '#kernel/errors.ts';
import { checkpointForm, maxKept } from './schema.ts';
import type { Checkpoint } from './verify.ts';

export interface Kept {
  readonly accountId: string;
  readonly checkpoints: readonly Checkpoint[];
  /** Public keys, as they were then. */
  readonly keys: readonly Readonly<Record<string, unknown>>[];
}

/** Of an export as well: its rows are not looked at. */
const keptLine = z.object({ account: z.uuid(), checkpoints: z.array(checkpointForm), keys: z.array(z.record(z.string(), z.unknown())) });

/**
 * Reads them. Of the checkpoints of one line the last speaks for those before it. Refuses a file that is none of this,
 * is about two accounts, or says of two keys that they are the same.
 */
export async function readKept(lines: AsyncIterable<string>): Promise<Kept> {
  const checkpoints: Checkpoint[] = [];
  const keys = new Map<unknown, Readonly<Record<string, unknown>>>();
  const accounts = new Set<string>();
  let number = 0;
  for await (const line of lines) {
    if (line.trim() === '') continue;
    number += 1;
    const read = readLine(line, number);
    accounts.add(read.account);
    for (const key of read.keys) {
      if (keys.has(key['kid']) && !isDeepStrictEqual(keys.get(key['kid']), key)) throw malformed(`line ${number} has another key \`${String(key['kid'])}\` than a line before it`);
      keys.set(key['kid'], key);
    }
    const last = read.checkpoints.at(-1);
    if (last !== undefined) checkpoints.push(checkpointOf(last));
    if (checkpoints.length > maxKept) throw malformed(`more than ${maxKept} lines with checkpoints; verify with some of them at a time`);
  }
  const [accountId, other] = accounts;
  if (other !== undefined) throw malformed('the checkpoints are of two accounts');
  if (accountId === undefined || checkpoints.length === 0) throw malformed('there is no checkpoint in it');
  return { accountId, checkpoints, keys: [...keys.values()] };
}

export function checkpointOf(form: z.infer<typeof checkpointForm>): Checkpoint {
  return { ...form, link: Buffer.from(form.link, 'hex'), at: new Date(form.at), signature: Buffer.from(form.signature, 'base64url') };
}

export function formOf({ seq, link, at, keyId, signature }: Checkpoint): z.infer<typeof checkpointForm> {
  return { seq, link: link.toString('hex'), at: at.toISOString(), keyId, signature: signature.toString('base64url') };
}

function readLine(line: string, number: number): z.infer<typeof keptLine> {
  try {
    return keptLine.parse(JSON.parse(line));
  } catch (cause) {
    throw refusal('request.malformed', { say: `line ${number} is neither what \`audit checkpoint\` prints nor part of an export`, cause });
  }
}

function malformed(say: string): Error {
  return refusal('request.malformed', { say });
}
