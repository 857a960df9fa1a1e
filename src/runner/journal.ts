/**
 * What this runner holds, on the disk: one directory an attempt with how far it is and its masked logs. A runner that was
 * killed reads here, when it starts again, what it must never run twice.
 */
import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Stream } from '#features/runners/schema.ts';
import type { LeasePlace } from './transport.ts';
import { writeWhole } from './whole-file.ts';

const journalEntry = z.discriminatedUnion('state', [
  z.strictObject({ format: z.literal(1), state: z.literal('claimed'), attemptId: z.uuid(), fence: z.int() }),
  /** Written before the server is told and before anything runs. */
  z.strictObject({ format: z.literal(1), state: z.literal('started'), attemptId: z.uuid(), fence: z.int(), maskSet: z.int() }),
  z.strictObject({ format: z.literal(1), state: z.literal('ended'), attemptId: z.uuid(), fence: z.int(), maskSet: z.int(), result: z.string().describe('sealed to this runner itself') }),
]);
export type JournalEntry = z.infer<typeof journalEntry>;

type Progress<E = JournalEntry> = E extends unknown ? Omit<E, 'format' | 'attemptId' | 'fence'> : never;

const entryFile = 'attempt.json';

export class Journal {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async open(directory: string): Promise<Journal> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return new Journal(directory);
  }

  /** Durable when it returns. */
  async write({ attemptId, fence }: LeasePlace, progress: Progress): Promise<void> {
    await mkdir(this.#pathOf(attemptId), { recursive: true, mode: 0o700 });
    await writeWhole(join(this.#pathOf(attemptId), entryFile), JSON.stringify(journalEntry.parse({ format: 1, attemptId, fence, ...progress })));
  }

  logPath(attemptId: string, stream: Stream): string {
    return join(this.#pathOf(attemptId), stream);
  }

  async remove(attemptId: string): Promise<void> {
    await rm(this.#pathOf(attemptId), { recursive: true, force: true });
  }

  /** What an earlier life of this runner has left. A directory whose entry cannot be read never got as far as a start. */
  async left(): Promise<JournalEntry[]> {
    const entries: JournalEntry[] = [];
    for (const name of await readdir(this.#directory)) {
      const entry = await this.#read(name);
      if (entry === null) await rm(join(this.#directory, name), { recursive: true, force: true });
      else entries.push(entry);
    }
    return entries;
  }

  async #read(name: string): Promise<JournalEntry | null> {
    try {
      const entry = journalEntry.parse(JSON.parse(await readFile(join(this.#directory, name, entryFile), 'utf8')));
      return entry.attemptId === name ? entry : null;
    } catch {
      return null;
    }
  }

  #pathOf(attemptId: string): string {
    return join(this.#directory, attemptId);
  }
}
