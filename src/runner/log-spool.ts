/** One masked stream of an attempt on the disk: all of it until the attempt is over, so that any part can be sent again. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { assert } from '#kernel/errors.ts';
import type { MaskSet } from '#features/masking/mask-set.ts';
import type { LogTotals } from '#features/runners/schema.ts';
import type { AttemptMasks } from './attempt-masks.ts';
import { MaskedStream } from './masked-stream.ts';

/** What the streams of an attempt may still grow by, together. */
export interface LogRoom {
  bytes: number;
  truncated: boolean;
}

export interface SpoolOptions {
  readonly path: string;
  readonly masks: Pick<AttemptMasks, 'set' | 'version'>;
  readonly room: LogRoom;
}

const truncationNotice = Buffer.from('\n[sallyport] the log is full; what follows was left out\n');
const readBytes = 1024 * 1024;

export class LogSpool {
  readonly #file: FileHandle;
  readonly #room: LogRoom;
  #masked: MaskedStream | null;
  #version: number;
  #length = 0;
  #full = false;
  #ended = false;
  #wake: () => void = () => {};
  /** Changes of the file, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(file: FileHandle, options: { readonly masked: MaskedStream | null; readonly version: number; readonly room: LogRoom }) {
    this.#file = file;
    this.#masked = options.masked;
    this.#version = options.version;
    this.#room = options.room;
  }

  static async create({ path, masks, room }: SpoolOptions): Promise<LogSpool> {
    return new LogSpool(await open(path, 'wx+', 0o600), { masked: new MaskedStream(masks.set), version: masks.version, room });
  }

  /** What a runner that died has left: complete as far as it goes, and masked with nobody knows how new a set. */
  static async reopen(path: string, version: number): Promise<LogSpool | null> {
    const file = await open(path, 'r+').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (file === null) return null;
    const spool = new LogSpool(file, { masked: null, version, room: { bytes: 0, truncated: false } });
    spool.#length = (await file.stat()).size;
    spool.#ended = true;
    return spool;
  }

  /** Version of the set all of it is masked with, less what has been sent. */
  get maskSet(): number {
    return this.#version;
  }

  get length(): number {
    return this.#length;
  }

  get ended(): boolean {
    return this.#ended;
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#next(async () => {
      if (this.#masked !== null) await this.#append(this.#masked.write(bytes));
    });
  }

  end(): Promise<void> {
    return this.#next(async () => {
      if (this.#masked !== null) await this.#append(this.#masked.end());
      this.#masked = null;
      this.#ended = true;
      this.#wake();
    });
  }

  /** Masks anew what lies behind `sent`. */
  renew({ set, version }: { readonly set: MaskSet; readonly version: number }, sent: number): Promise<void> {
    return this.#next(async () => {
      const unsent = await this.read(sent, this.#length - sent);
      // After the end nothing follows that a secret could go on in.
      const masked = this.#masked ?? new MaskedStream(set);
      const again = this.#masked === null ? Buffer.concat([masked.write(unsent), masked.end()]) : masked.renew(set, unsent);
      this.#room.bytes += unsent.length;
      this.#length = sent;
      await this.#file.truncate(sent);
      this.#version = version;
      await this.#put(again); // a mask is shorter than what it masks, so there is room
      this.#wake();
    });
  }

  /** From here on `set` decides, whose new secrets nobody has seen yet. */
  join(set: MaskSet): Promise<void> {
    return this.#next(async () => {
      this.#masked?.renew(set, new Uint8Array(0));
    });
  }

  /** At most `bytes` from `offset` on. */
  async read(offset: number, bytes: number): Promise<Buffer> {
    const buffer = Buffer.alloc(Math.max(0, Math.min(bytes, this.#length - offset)));
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await this.#file.read(buffer, filled, buffer.length - filled, offset + filled);
      assert(bytesRead > 0, 'a spool is shorter than what was written to it');
      filled += bytesRead;
    }
    return buffer;
  }

  /** Resolves when there is more than `length`, nothing will follow, or `signal` is aborted and `wake` called. One caller. */
  async moreThan(length: number, signal: AbortSignal): Promise<void> {
    while (!this.#ended && this.#length <= length && !signal.aborted) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  wake(): void {
    this.#wake();
  }

  async total(): Promise<LogTotals['stdout']> {
    const hash = createHash('sha256');
    for (let at = 0; at < this.#length; at += readBytes) hash.update(await this.read(at, readBytes));
    return { bytes: this.#length, sha256: hash.digest('hex') };
  }

  async close(): Promise<void> {
    await this.#turn;
    await this.#file.close();
  }

  async #append(bytes: Uint8Array): Promise<void> {
    if (this.#full || bytes.length === 0) return;
    const room = this.#room.bytes - truncationNotice.length;
    if (bytes.length > room) {
      this.#full = true;
      this.#room.truncated = true;
      await this.#put(Buffer.concat([bytes.subarray(0, Math.max(0, room)), truncationNotice]).subarray(0, Math.max(0, this.#room.bytes)));
    } else {
      await this.#put(bytes);
    }
    this.#wake();
  }

  async #put(bytes: Uint8Array): Promise<void> {
    this.#room.bytes -= bytes.length;
    let written = 0;
    while (written < bytes.length) {
      const { bytesWritten } = await this.#file.write(bytes, written, bytes.length - written, this.#length + written);
      written += bytesWritten;
    }
    this.#length += bytes.length;
  }

  #next<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(change);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}
