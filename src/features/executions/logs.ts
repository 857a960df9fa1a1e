/** Logs of an execution, masked before they left the runner: step by step, each stream from where the reader stopped. */
import { sql } from 'kysely';
import type { z } from 'zod';
import type { Stream } from '#features/runners/schema.ts';
import { streams } from '#features/runners/schema.ts';
import type { Reader } from '#platform/database/database.ts';
import type { Attempt } from './attempts.ts';
import { attemptsOf, isOver } from './attempts.ts';
import type { logChunk } from './schema.ts';
import type { Place } from './store.ts';

type Chunk = z.infer<typeof logChunk>;

/** How many bytes of each stream were read, by attempt; only of those of which some were. */
export type LogPosition = Readonly<Record<string, Readonly<Record<Stream, number>>>>;

const maxPageBytes = 512 * 1024;
const longestCharacter = 4;
const maxSegments = 1_000;

export async function readLogs(reader: Reader, place: Place, after: LogPosition): Promise<{ chunks: Chunk[]; next: LogPosition }> {
  const next: Record<string, Record<Stream, number>> = { ...after };
  const chunks: Chunk[] = [];
  let room = maxPageBytes;
  for (const attempt of await attemptsOf(reader, place)) {
    const [stage, step] = attempt.stepUid.split('.') as [string, string];
    const key = shortId(attempt.id);
    for (const stream of streams) {
      const offset = next[key]?.[stream] ?? 0;
      if (room < longestCharacter || offset >= attempt.logBytes[stream]) continue;
      const bytes = await readBytes(reader, attempt, { stream, from: offset, to: Math.min(offset + room, attempt.logBytes[stream]) });
      const { text, length } = wholeCharacters(bytes, isOver(attempt) && offset + bytes.length === attempt.logBytes[stream]);
      if (length === 0) continue;
      chunks.push({ stage, step, attempt: attempt.number, stream, offset, text });
      next[key] = { stdout: 0, stderr: 0, ...next[key], [stream]: offset + length };
      room -= length;
    }
  }
  return { chunks, next };
}

/** A cursor names every step that printed something and has to fit into a URL. No two ids of an execution end alike. */
function shortId(id: string): string {
  return Buffer.from(id.slice(19).replace('-', ''), 'hex').toString('base64url');
}

/** Fewer when they lie in very many segments. */
async function readBytes(reader: Reader, attempt: Attempt, { stream, from, to }: { stream: Stream; from: number; to: number }): Promise<Buffer> {
  // Segments follow each other without gaps; the one that holds `from` is the last that begins at or before it.
  const holder = sql`(select max(start_offset) from log_segment where account_id = ${attempt.accountId} and attempt_id = ${attempt.id} and stream = ${stream} and start_offset <= ${from})`;
  const rows = await reader.selectFrom('log_segment').select(['start_offset', 'bytes'])
    .where('account_id', '=', attempt.accountId).where('attempt_id', '=', attempt.id).where('stream', '=', stream)
    .where(sql<boolean>`start_offset >= ${holder}`).where('start_offset', '<', to).orderBy('start_offset').limit(maxSegments).execute();
  const start = rows[0]?.start_offset ?? from;
  return Buffer.concat(rows.map((row) => row.bytes)).subarray(from - start, to - start);
}

/** A character that is cut at the end is read with the rest of it; at most three bytes wait, none when nothing will follow. */
function wholeCharacters(bytes: Buffer, last: boolean): { text: string; length: number } {
  const length = last ? bytes.length : bytes.length - cutBytes(bytes);
  return { text: bytes.toString('utf8', 0, length), length };
}

/** Bytes at the end that begin a UTF-8 character and do not finish it. */
function cutBytes(bytes: Buffer): number {
  for (let back = 1; back < longestCharacter && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}
