/** Logs of an execution, masked before they left the runner, read in the order they arrived. */
import { sql } from 'kysely';
import type { Reader } from '#platform/database/database.ts';
import type { z } from 'zod';
import type { logChunk } from './schema.ts';
import { attemptsOf } from './store.ts';

type Chunk = z.infer<typeof logChunk>;

/** Per attempt and stream: how many bytes were read. */
export type LogPosition = Readonly<Record<string, number>>;

const maxPageBytes = 512 * 1024;

export async function readLogs(reader: Reader, place: { readonly accountId: string; readonly executionId: string }, after: LogPosition): Promise<{ chunks: Chunk[]; next: LogPosition }> {
  const next: Record<string, number> = { ...after };
  const chunks: Chunk[] = [];
  let room = maxPageBytes;
  for (const attempt of await attemptsOf(reader, place.accountId, place.executionId)) {
    const [stage, step] = attempt.stepUid.split('.') as [string, string];
    for (const stream of ['stdout', 'stderr'] as const) {
      const key = `${attempt.id} ${stream}`;
      const rows = await reader.selectFrom('log_segment').select(['start_offset', 'bytes'])
        .where('account_id', '=', place.accountId).where('attempt_id', '=', attempt.id).where('stream', '=', stream)
        .where(sql<boolean>`start_offset + octet_length(bytes) > ${next[key] ?? 0}`).orderBy('start_offset').limit(64).execute();
      for (const row of rows) {
        if (room <= 0) return { chunks, next };
        const { text, bytes } = wholeCharacters(row.bytes.subarray(Math.max(0, (next[key] ?? 0) - row.start_offset)));
        if (bytes === 0) break;
        chunks.push({ stage, step, attempt: attempt.number, stream, offset: next[key] ?? 0, text });
        next[key] = (next[key] ?? 0) + bytes;
        room -= bytes;
      }
    }
  }
  return { chunks, next };
}

/** A character cut by the end of a segment is read with the rest of it; at most three bytes wait. */
function wholeCharacters(bytes: Buffer): { text: string; bytes: number } {
  let end = bytes.length;
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    if (length > back) end = bytes.length - back;
    break;
  }
  // Nothing but a cut character: give it as it is rather than stand still.
  if (end === 0) end = bytes.length;
  return { text: bytes.subarray(0, end).toString('utf8'), bytes: end };
}
