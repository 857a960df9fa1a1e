import { Socket } from 'node:net';
import { assert } from '#kernel/errors.ts';

export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Uint8Array;
}

/** What is held for a reader that is slower than the step. Beyond it the step's next write waits. */
const maxQueuedBytes = 256 * 1024;

export interface StepOutputOptions {
  readonly stdoutFd: number;
  readonly stderrFd: number;
  /** Bytes of both streams together; the rest is dropped and `onLimit` called once. */
  readonly limitBytes: number;
  readonly onLimit: () => void;
}

/**
 * The two output pipes of a step as one bounded sequence with one reader. The order inside a stream is kept, that
 * between the streams is the one of arrival. It ends when the last process holding the pipes has closed them. A reader
 * that stops early lets the step go on: the rest is thrown away.
 */
export class StepOutput implements AsyncIterable<OutputChunk> {
  readonly #limitBytes: number;
  readonly #onLimit: () => void;
  readonly #sockets: Socket[];
  #open: number;
  #queue: OutputChunk[] = [];
  #queuedBytes = 0;
  #totalBytes = 0;
  #limited = true;
  #exceeded = false;
  #abandoned = false;
  #iterated = false;
  #wake: () => void = () => {};

  constructor({ stdoutFd, stderrFd, limitBytes, onLimit }: StepOutputOptions) {
    this.#limitBytes = limitBytes;
    this.#onLimit = onLimit;
    this.#sockets = [this.#attach('stdout', stdoutFd), this.#attach('stderr', stderrFd)];
    this.#open = this.#sockets.length;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<OutputChunk, void, undefined> {
    assert(!this.#iterated, 'the output of a step has one reader');
    this.#iterated = true;
    try {
      for (;;) {
        const chunk = this.#queue.shift();
        if (chunk !== undefined) {
          this.#queuedBytes -= chunk.bytes.length;
          if (this.#queuedBytes < maxQueuedBytes) this.#flow();
          yield chunk;
        } else if (this.#open === 0) {
          return;
        } else {
          await new Promise<void>((resolve) => (this.#wake = resolve));
        }
      }
    } finally {
      this.#abandon();
    }
  }

  /** The step has ended by itself: what its pipes still hold (64 KiB each) is delivered whatever the limit. */
  lift(): void {
    this.#limited = this.#exceeded;
  }

  /**
   * Ends the output although somebody unknown still holds a pipe: once the reader has everything and nothing arrived
   * for `quietMs`. Only for steps without isolation, where a process that hid from us survives.
   */
  closeWhenQuiet(quietMs: number): void {
    let seen = -1;
    const timer = setInterval(() => {
      if (this.#open === 0) return clearInterval(timer);
      if (this.#queue.length === 0 && seen === this.#totalBytes) this.close();
      seen = this.#totalBytes;
    }, quietMs);
    timer.unref();
  }

  /** Ends the output now. */
  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** For a step that did not start: what the launcher said, at most `maxBytes`. Waits for the pipes to be closed. */
  async launcherWords(maxBytes: number): Promise<string> {
    const chunks: Uint8Array[] = [];
    for await (const { bytes } of this) chunks.push(bytes);
    return Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8').trim();
  }

  #attach(stream: OutputChunk['stream'], fd: number): Socket {
    const socket = new Socket({ fd, readable: true, writable: false });
    socket.on('data', (bytes: Buffer) => this.#take(stream, bytes));
    socket.on('error', () => {}); // `close` follows
    socket.on('close', () => {
      this.#open -= 1;
      this.#wake();
    });
    return socket;
  }

  #take(stream: OutputChunk['stream'], bytes: Buffer): void {
    const room = this.#limited ? this.#limitBytes - this.#totalBytes : bytes.length;
    const kept = bytes.length <= room ? bytes : bytes.subarray(0, Math.max(room, 0));
    this.#totalBytes += kept.length;
    if (kept.length > 0 && !this.#abandoned) {
      this.#queue.push({ stream, bytes: kept });
      this.#queuedBytes += kept.length;
      if (this.#queuedBytes >= maxQueuedBytes) for (const socket of this.#sockets) socket.pause();
      this.#wake();
    }
    if (kept.length < bytes.length && !this.#exceeded) {
      this.#exceeded = true;
      this.#onLimit();
    }
  }

  #flow(): void {
    for (const socket of this.#sockets) socket.resume();
  }

  #abandon(): void {
    this.#abandoned = true;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#flow();
  }
}
