/** Who this runner is when it starts: the one it was, or a new one by its registration file. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Refusal, refusal } from '#kernel/errors.ts';
import type { Clock, Randomness } from '#platform/clock.ts';
import type { Log } from '#platform/log.ts';
import { describeError } from '#platform/log.ts';
import { register } from './http-transport.ts';
import type { Identity, RegisteredIdentity } from './identity.ts';
import { keepIdentity, makeIdentity, readIdentity } from './identity.ts';
import { persist } from './persist.ts';

/** What `POST …/runner-registrations` answered; the rest of it is for people. */
const registrationFile = z.object({ account: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/), token: z.string().min(1).max(128) });

export interface EnrolOptions {
  readonly url: string;
  /** Needed at the first start only. */
  readonly registrationFile: string | undefined;
  /** Directory of the identity. */
  readonly work: string;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly retryMaxMs: number;
}

export function identityPath(work: string): string {
  return join(work, 'identity.json');
}

export async function enrol(options: EnrolOptions): Promise<RegisteredIdentity> {
  const path = identityPath(options.work);
  const known = await readIdentity(path);
  if (known !== null && isRegistered(known)) return known;
  const { account, token } = await readRegistration(options.registrationFile);
  // Kept before they are used: a registration can be repeated only with the same keys.
  const identity = known ?? makeIdentity();
  if (known === null) await keepIdentity(path, identity);
  const { protocol: _, ...registration } = await send(options, { identity, account, token });
  const complete: RegisteredIdentity = { ...identity, registration: { ...registration, account } };
  await keepIdentity(path, complete);
  return complete;
}

async function send({ url, clock, randomness, log, signal, retryMaxMs }: EnrolOptions, { identity, account, token }: { identity: Identity; account: string; token: string }) {
  const onFailure = (error: unknown): void => log.warn({ error: describeError(error) }, 'the server does not answer');
  try {
    return await persist((trying) => register({ url, account }, { identity, token, clock, signal: trying }), { randomness, signal, maxMs: retryMaxMs, onFailure });
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 'credential.invalid') throw error;
    throw refusal('credential.invalid', { say: 'the registration was used by another runner, has expired or was revoked; make a new one', cause: error });
  }
}

function isRegistered(identity: Identity): identity is RegisteredIdentity {
  return identity.registration !== null;
}

async function readRegistration(path: string | undefined): Promise<z.infer<typeof registrationFile>> {
  if (path === undefined) throw refusal('config.invalid', { say: 'this runner is not registered yet; give `--registration-file`' });
  let document: unknown;
  try {
    document = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw refusal('config.invalid', { say: `the registration file \`${path}\` cannot be read as JSON`, cause });
  }
  const read = registrationFile.safeParse(document);
  if (!read.success) throw refusal('config.invalid', { say: `the registration file \`${path}\` must hold what \`POST …/runner-registrations\` answered` });
  return read.data;
}
