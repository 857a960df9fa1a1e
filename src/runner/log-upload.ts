/** Brings one spool to the server, in order, one chunk on the way at a time; the server says where to go on. */
import { refusal } from '#kernel/errors.ts';
import { protocolLimits } from '#features/runners/schema.ts';
import type { LogPosition, Stream } from '#features/runners/schema.ts';
import type { AttemptMasks } from './attempt-masks.ts';
import type { LogSpool } from './log-spool.ts';
import { pause } from './persist.ts';
import type { Chunk } from './transport.ts';

export interface UploadOptions {
  readonly stream: Stream;
  readonly spool: LogSpool;
  /** Null when the secrets are not known any more: what the server wants masked anew is given up. */
  readonly masks: AttemptMasks | null;
  /** The newest set the server has told of. */
  readonly newestMaskSet: () => number;
  /** Fetches what joined the mask set. */
  readonly renewMasks: (masks: AttemptMasks) => Promise<void>;
  /** Sends the same bytes until they are answered. */
  readonly send: (chunk: Chunk) => Promise<LogPosition>;
  readonly signal: AbortSignal;
}

/** Lines that come one by one are gathered so long. */
const gatherMs = 100;

/** Resolves when all of a spool that has ended is there, with how much that is; less when the server takes no more. */
export async function uploadLog(options: UploadOptions): Promise<number> {
  const { spool, stream, signal } = options;
  signal.addEventListener('abort', () => spool.wake(), { once: true });
  let sent = 0;
  // An empty chunk asks where to go on; for a runner that died nobody knows.
  let asks = options.masks === null;
  for (;;) {
    if (!asks) await gather(spool, sent, signal);
    signal.throwIfAborted();
    await renewIfAsked(options, sent);
    const bytes = asks ? Buffer.alloc(0) : await spool.read(sent, protocolLimits.chunkBytes);
    if (bytes.length === 0 && !asks) return sent;
    const answer = await options.send({ stream, offset: sent, maskSet: spool.maskSet, bytes });
    if (answer.nextOffset > spool.length) throw refusal('runner.protocol', { say: `the server has more of \`${stream}\` than there is` });
    asks = false;
    sent = answer.nextOffset;
    if (answer.outcome === 'full') return sent;
    if (answer.outcome === 'old_masks' && !(await renewAsTold(options, sent))) return sent;
  }
}

async function gather(spool: LogSpool, sent: number, signal: AbortSignal): Promise<void> {
  await spool.moreThan(sent, signal);
  if (spool.ended || spool.length - sent >= protocolLimits.chunkBytes) return;
  await pause(gatherMs, signal);
}

async function renewIfAsked({ spool, masks, newestMaskSet, renewMasks }: UploadOptions, sent: number): Promise<void> {
  if (masks === null) return;
  if (newestMaskSet() > masks.version) await renewMasks(masks);
  if (masks.version > spool.maskSet) await spool.renew(masks, sent);
}

/** False when there is nothing to mask anew with. */
async function renewAsTold({ spool, masks, renewMasks }: UploadOptions, sent: number): Promise<boolean> {
  if (masks === null) return false;
  if (masks.version === spool.maskSet) await renewMasks(masks);
  if (masks.version === spool.maskSet) return false;
  await spool.renew(masks, sent);
  return true;
}
