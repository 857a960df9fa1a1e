/** The protocol over HTTP: one signed POST a message. */
import type { z } from 'zod';
import { catalogue, refusal } from '#kernel/errors.ts';
import type { ErrorCode, Refusal } from '#kernel/errors.ts';
import type { RegisterBody, Registered } from '#features/runners/schema.ts';
import {
  claimAnswer, leaseAnswer, logAnswer, openedMasks, openedPayload, openedToken, protocolLimits, protocolVersion, registered, registrationWord, resultAnswer, sealedAnswer,
} from '#features/runners/schema.ts';
import type { Clock } from '#platform/clock.ts';
import type { RemoteAnswer } from '#platform/remote.ts';
import { callRemote } from '#platform/remote.ts';
import { publicSealingKey, publicSigningKey } from './identity.ts';
import type { Identity, RegisteredIdentity } from './identity.ts';
import { requestToken } from './request-token.ts';
import { openSealed } from './sealed.ts';
import type { LeasePlace, RunnerTransport, SendOptions } from './transport.ts';

export interface ServerPlace {
  /** Without a trailing slash. */
  readonly url: string;
  readonly account: string;
}

const protocol = protocolVersion;
const defaultTimeoutMs = 30_000;
/** The server answers a claim this long after it has waited, at the latest. */
const claimSlackMs = 10_000;
/** The `Date` of an answer has whole seconds. */
const clockSlackMs = 5_000;

/** The server's clock as its answers show it: a runner's own may be wrong by days. */
class ServerClock {
  readonly #clock: Clock;
  #aheadMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): Date {
    return new Date(this.#clock.now().getTime() + this.#aheadMs);
  }

  /** True when the answer showed that our idea of its time was wrong. */
  learn(answer: RemoteAnswer): boolean {
    const said = Date.parse(answer.headers['date'] ?? '');
    if (Number.isNaN(said) || Math.abs(said - this.now().getTime()) < clockSlackMs) return false;
    this.#aheadMs = said - this.#clock.now().getTime();
    return true;
  }
}

/** Makes this runner known. Safe to send again with the same keys. Refuses as the server does. */
export async function register(server: ServerPlace, request: { readonly identity: Identity; readonly token: string; readonly clock: Clock; readonly signal: AbortSignal }): Promise<Registered> {
  const { identity, token, signal } = request;
  const unsigned = { protocol, token, signingKey: publicSigningKey(identity), sealingKey: publicSealingKey(identity) } as const;
  const path = `/api/v1/accounts/${server.account}/runners:register`;
  const clock = new ServerClock(request.clock);
  const send = (): Promise<RemoteAnswer> => {
    const proof = requestToken(identity.signingKey, { issuer: registrationWord, audience: registrationWord, path, body: unsigned, now: clock.now() });
    const body: RegisterBody = { ...unsigned, proof };
    return callRemote({ url: server.url, token: null }, { method: 'POST', path, body, signal, timeoutMs: defaultTimeoutMs });
  };
  let answer = await send();
  if (answer.status === 401 && clock.learn(answer)) answer = await send();
  return read(answer, registered);
}

export function httpTransport(server: ServerPlace, { identity, clock }: { readonly identity: RegisteredIdentity; readonly clock: Clock }): RunnerTransport {
  const serverClock = new ServerClock(clock);
  const { runnerId, audience } = identity.registration;

  async function send<T>(below: string, body: object, answerSchema: z.ZodType<T>, options: SendOptions = {}): Promise<T> {
    const path = `/api/v1/accounts/${server.account}/runner${below}`;
    const once = (): Promise<RemoteAnswer> => {
      const token = requestToken(identity.signingKey, { issuer: runnerId, audience, path, body, now: serverClock.now() });
      return callRemote({ url: server.url, token }, { method: 'POST', path, body, timeoutMs: options.timeoutMs ?? defaultTimeoutMs, ...(options.signal === undefined ? {} : { signal: options.signal }) });
    };
    let answer = await once();
    if (serverClock.learn(answer) && answer.status === 401) answer = await once();
    return read(answer, answerSchema);
  }

  const ofAttempt = <T>(place: LeasePlace, word: string, more: object, answerSchema: z.ZodType<T>, options?: SendOptions): Promise<T> =>
    send(`/attempts/${place.attemptId}/${word}`, { protocol, fence: place.fence, ...more }, answerSchema, options);

  return {
    claim: (claimId, waitMs, options) => send('/claims', { protocol, claimId, waitMs }, claimAnswer, { timeoutMs: waitMs + claimSlackMs, ...options }),
    async payload(place, options) {
      const { sealed } = await ofAttempt(place, 'payload', {}, sealedAnswer, options);
      const { protocol: _protocol, attemptId: _attemptId, fence: _fence, ...payload } = await openSealed(identity, sealed, openedPayload, place);
      return payload;
    },
    async masks(place, after, options) {
      const { sealed } = await ofAttempt(place, 'masks', { after }, sealedAnswer, options);
      const { maskSet, secrets } = await openSealed(identity, sealed, openedMasks, place);
      return { maskSet, secrets };
    },
    async token(place, { identity: name, audience: wanted }, options) {
      const { sealed } = await ofAttempt(place, 'tokens', { identity: name, audience: wanted }, sealedAnswer, options);
      const { protocol: _protocol, attemptId: _attemptId, fence: _fence, ...made } = await openSealed(identity, sealed, openedToken, place);
      return made;
    },
    started: (place, options) => ofAttempt(place, 'started', {}, leaseAnswer, options),
    heartbeat: (place, options) => ofAttempt(place, 'heartbeat', {}, leaseAnswer, options),
    async log(place, { bytes, ...chunk }, options) {
      const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
      const { protocol: _, ...position } = await ofAttempt(place, 'logs', { ...chunk, data }, logAnswer, options);
      return position;
    },
    async result(place, result, options) {
      await ofAttempt(place, 'result', { result }, resultAnswer, options);
    },
  };
}

/** The body of a good answer; otherwise the refusal it tells of. What is neither is an ordinary error, to be tried again. */
function read<T>(answer: RemoteAnswer, schema: z.ZodType<T>): T {
  if (answer.status === 200) {
    const parsed = schema.safeParse(answer.body);
    if (parsed.success) return parsed.data;
    throw refusal('runner.protocol', { say: `the server's answer is not of protocol ${protocolVersion}; use a runner of its version` });
  }
  throw refusalOf(answer) ?? new Error(`the server answered ${answer.status}`);
}

function refusalOf({ status, headers, body }: RemoteAnswer): Refusal | null {
  const problem = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  const code = String(problem['code'] ?? '');
  if (!isCode(code) || catalogue[code].status !== status) return null;
  const detail = typeof problem['detail'] === 'string' ? { say: problem['detail'].slice(0, protocolLimits.messageCharacters) } : {};
  const retryAfterSeconds = Number(headers['retry-after'] ?? Number.NaN);
  return refusal(code, { ...detail, ...(Number.isFinite(retryAfterSeconds) ? { retryAfterSeconds } : {}) });
}

function isCode(code: string): code is ErrorCode {
  return Object.hasOwn(catalogue, code);
}
