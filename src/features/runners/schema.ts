/**
 * The words of the runner protocol, version 1 (`docs/runner-protocol.md`): every message, and the port behind which the
 * attempts live. The server and the runner both import this file, and nothing else of each other.
 */
import { z } from 'zod';
import type { Noun } from '#kernel/kind.ts';
import type { ScopePath } from '#kernel/scope.ts';

export const runnerNoun: Noun = { name: 'runner', levels: ['account', 'org', 'project'], verbs: ['view', 'create', 'edit', 'delete'] };

export const protocolVersion = 1;

export const protocolLimits = {
  claimWaitMs: 25_000,
  /** Of one chunk, before base64. */
  chunkBytes: 256 * 1024,
  /** Of both streams of an attempt together. */
  logBytes: 64 * 1024 * 1024,
  outputs: 64,
  /** Names and values of all outputs together, in UTF-8. */
  outputBytes: 512 * 1024,
  messageCharacters: 2_000,
  /** Longest life of a request token. */
  requestTokenSeconds: 60,
  secrets: 10_000,
  /** Secrets, tokens and secret outputs that are opened or made for one step. */
  deliveries: 200,
  /** Of one `NAME=value`: no more than Linux starts a program with (MAX_ARG_STRLEN, without the final NUL). */
  variableBytes: 128 * 1024 - 1,
  /** All values of a step's environment together. */
  environmentBytes: 1024 * 1024 - 64 * 1024,
  /** Of one file of an identity. */
  fileBytes: 128 * 1024,
  /** Files of the identities of a step. */
  files: 1_000,
  askedTokens: 500,
  /** Thirty days. */
  timeoutMs: 30 * 86_400_000,
} as const;

const protocol = z.literal(protocolVersion);
const base64url = (bytes: number): z.ZodString => {
  const characters = Math.ceil((bytes * 4) / 3);
  return z.string().length(characters).regex(/^[A-Za-z0-9_-]+$/);
};

/** Verifies what the runner says (RFC 8037). */
export const signingJwk = z.strictObject({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: base64url(32) });
/** What is meant for the runner alone is sealed to it. */
export const sealingJwk = z.strictObject({ kty: z.literal('OKP'), crv: z.literal('X25519'), x: base64url(32) });
export type SigningJwk = z.infer<typeof signingJwk>;
export type SealingJwk = z.infer<typeof sealingJwk>;

// Who is asking

/** Header of a request token: a JWT (RFC 7519) in compact form, signed with EdDSA by the runner's own key. */
export const requestTokenType = 'sallyport-runner+jwt';
export const requestTokenHeader = z.strictObject({ alg: z.literal('EdDSA'), typ: z.literal(requestTokenType) });
export const requestTokenClaims = z.strictObject({
  iss: z.string().min(1).max(64).describe('id of the runner; `registration` in the proof of a registration'),
  aud: z.string().min(1).max(64).describe('the audience the registration was answered with; `registration` in its proof'),
  htu: z.string().min(1).max(1_024).describe('path of the request, from `/api/` on'),
  digest: base64url(32).describe('SHA-256 of the body in canonical JSON (RFC 8785)'),
  iat: z.int().min(0),
  exp: z.int().min(0),
});
export type RequestTokenClaims = z.infer<typeof requestTokenClaims>;
/** Stands for the runner and the audience while there is neither. */
export const registrationWord = 'registration';

/** What a runner has and a step asks for. */
export const label = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}$/, { error: 'must be at most 64 letters, digits, `_`, `.`, `:` or `-`' });
export const labels = z.array(label).max(64).refine((list) => new Set(list).size === list.length, { error: 'names a label twice' });

export const registerUnsigned = z.strictObject({
  protocol,
  token: z.string().min(1).max(128).describe('registration token'),
  signingKey: signingJwk,
  sealingKey: sealingJwk,
});
export const registerBody = registerUnsigned.extend({ proof: z.string().min(1).max(4_096).describe('request token over the other fields, signed by `signingKey`') });
export const registered = z.strictObject({
  protocol,
  runnerId: z.uuid(),
  identifier: z.string(),
  scope: z.string(),
  labels: z.array(z.string()),
  audience: z.string().min(1).max(64),
});
export type RegisterBody = z.infer<typeof registerBody>;
export type Registered = z.infer<typeof registered>;

// Work

const fence = z.int().min(1).describe('of the lease; grows with every lease of the attempt');
const underLease = { protocol, fence };
const maskSet = z.int().min(0).describe('version of the secrets to mask; grows with every addition');

export const claimBody = z.strictObject({
  protocol,
  claimId: z.uuid().describe('the same id is answered with the same lease'),
  waitMs: z.int().min(0).max(protocolLimits.claimWaitMs),
});
export const claimAnswer = z.strictObject({
  protocol,
  claim: z.strictObject({ attemptId: z.uuid(), fence, leaseMs: z.int().min(0), heartbeatMs: z.int().min(1) }).nullable(),
  retryAfterMs: z.int().min(0).describe('how long to wait before the next claim'),
});
export type ClaimBody = z.infer<typeof claimBody>;
export type ClaimAnswer = z.infer<typeof claimAnswer>;
export type Claim = NonNullable<ClaimAnswer['claim']>;

export const leaseBody = z.strictObject(underLease);
/** Answer to `started` and `heartbeat`. */
export const leaseAnswer = z.strictObject({
  protocol,
  leaseMs: z.int().min(0).describe('how much longer the lease holds, from the moment the request was sent'),
  heartbeatMs: z.int().min(1).describe('how long to wait before the next heartbeat'),
  cancel: z.boolean().describe('end the step and report its result'),
  maskSet,
});
export type LeaseAnswer = z.infer<typeof leaseAnswer>;

/** A compact JWE (RFC 7516), `ECDH-ES` with `A256GCM`, to the runner's sealing key. */
export const sealedType = 'sallyport-runner+jwe';
const sealed = z.string().min(1).max(24 * 1024 * 1024);
export const sealedAnswer = z.strictObject({ protocol, sealed });
export type SealedAnswer = z.infer<typeof sealedAnswer>;

const secretToMask = z.strictObject({ name: z.string().min(1).max(512), value: z.string() });
const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/);
const sealedFor = { protocol, attemptId: z.uuid(), fence };

const fileName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,1023}(?:\.[a-z]{1,16}){1,2}$/);
const namedFile = { name: fileName, content: z.string().max(protocolLimits.fileBytes) };
const audience = z.string().min(1).max(512);
const lifeMs = z.int().min(0).describe('how much longer the token is good, from the answer on');

/** What a step is given by its `identities`. Variables and files have words only the runner can put something in the place of. */
const stepIdentities = z.strictObject({
  environment: z.record(variable, z.string()),
  files: z.array(z.strictObject({ ...namedFile, of: z.strictObject({ identity: variable, audience, lifeMs }).nullable().describe('the token it is made of; null = it stays as it is') })).max(protocolLimits.files),
  asked: z.array(z.strictObject({ identity: variable, audience })).max(protocolLimits.askedTokens).describe('what the step may ask for at the runner'),
});
export type StepIdentities = z.infer<typeof stepIdentities>;

const stepPayload = z.strictObject({
  script: z.string(),
  shell: z.enum(['sh', 'bash']),
  environment: z.record(variable, z.string()),
  secrets: z.array(secretToMask).max(protocolLimits.secrets),
  maskSet,
  outputVariables: z.array(variable).max(protocolLimits.outputs),
  timeoutMs: z.int().min(1).max(protocolLimits.timeoutMs),
  identities: stepIdentities.optional().describe('only of a step that has some'),
  limits: z.strictObject({ processes: z.int().min(1).optional(), outputBytes: z.int().min(1).optional() }).optional()
    .describe('narrower than the limits of the runner, never wider'),
});
export const openedPayload = stepPayload.extend(sealedFor);
export type StepPayload = z.infer<typeof stepPayload>;

export const masksBody = z.strictObject({ ...underLease, after: maskSet });
const maskAddition = z.strictObject({ maskSet, secrets: z.array(secretToMask).max(protocolLimits.secrets) });
export const openedMasks = maskAddition.extend(sealedFor);
/** Secrets added after a version, and the version they lead to. */
export type MaskAddition = z.infer<typeof maskAddition>;

export const tokensBody = z.strictObject({ ...underLease, identity: variable, audience });
const madeToken = z.strictObject({
  token: z.string().min(1).max(protocolLimits.fileBytes),
  lifeMs,
  files: z.array(z.strictObject(namedFile)).max(protocolLimits.files).describe('those made of the token, as they are now'),
  secrets: z.array(secretToMask).max(protocolLimits.files).describe('to be masked before the step can see them'),
});
export const openedToken = madeToken.extend(sealedFor);
export type MadeToken = z.infer<typeof madeToken>;

export interface TokenWish {
  /** As the pipeline calls it. */
  readonly identity: string;
  readonly audience: string;
}

export const streams = ['stdout', 'stderr'] as const;
export type Stream = (typeof streams)[number];

export const logBody = z.strictObject({
  ...underLease,
  stream: z.enum(streams),
  offset: z.int().min(0).describe('in the masked stream, of the first byte'),
  maskSet: maskSet.describe('version this chunk was masked with'),
  data: z.base64().max(Math.ceil(protocolLimits.chunkBytes / 3) * 4),
});
const logPosition = z.strictObject({
  /** `stored`: all bytes up to `nextOffset` are there. The others store nothing of the chunk. */
  outcome: z.enum(['stored', 'gap', 'old_masks', 'full']),
  nextOffset: z.int().min(0),
  maskSet,
});
export const logAnswer = logPosition.extend({ protocol });
export type LogPosition = z.infer<typeof logPosition>;

const message = z.string().max(protocolLimits.messageCharacters).describe('masked');
const streamTotal = z.strictObject({ bytes: z.int().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const logTotals = z.strictObject({ stdout: streamTotal, stderr: streamTotal, truncated: z.boolean() });
export type LogTotals = z.infer<typeof logTotals>;

const stepOutput = z.strictObject({
  name: variable,
  value: z.string().max(protocolLimits.outputBytes).describe('as it is: whoever stores it seals it when `secrets` is not empty'),
  secrets: z.array(z.string().max(512)).max(protocolLimits.secrets).describe('names of the secrets found in the value'),
});
export type StepOutput = z.infer<typeof stepOutput>;

const endings = ['success', 'failure', 'timeout', 'cancelled', 'error'] as const;
const stepResult = z.discriminatedUnion('exit', [
  z.strictObject({
    exit: z.enum(endings),
    code: z.int().min(0).max(255).nullable(),
    signal: z.string().max(32).nullable(),
    message: message.nullable(),
    outputs: z.array(stepOutput).max(protocolLimits.outputs),
    logs: logTotals,
  }),
  /** Nothing has been started, and this runner will not start it. */
  z.strictObject({ exit: z.literal('refused'), message }),
  /** It may have been started and nobody knows what it did. */
  z.strictObject({ exit: z.literal('lost'), message, logs: logTotals.nullable() }),
]);
export type StepResult = z.infer<typeof stepResult>;
export type EndedResult = Extract<StepResult, { outputs: unknown }>;

export const resultBody = z.strictObject({ ...underLease, result: stepResult });
export const resultAnswer = z.strictObject({ protocol });

// Where attempts live

/** Names one lease of one attempt. Whoever does not hold it now is refused with `runner.stale_fence`, whatever the reason. */
export interface AttemptRef {
  readonly accountId: string;
  readonly runnerId: string;
  readonly attemptId: string;
  readonly fence: number;
}

export interface ClaimRequest {
  readonly accountId: string;
  readonly runnerId: string;
  /** Steps run in this scope and below it. */
  readonly scope: ScopePath;
  /** What it has, its identifier included; it gets steps that ask for nothing else. */
  readonly labels: readonly string[];
  readonly claimId: string;
  readonly now: Date;
  /** Ends when nobody waits for the answer; then nothing is leased. */
  readonly signal?: AbortSignal;
}

export interface ClaimedAttempt {
  readonly attemptId: string;
  readonly fence: number;
  readonly leaseUntil: Date;
}

export interface LeaseState {
  readonly leaseUntil: Date;
  /** The step is to be ended. */
  readonly cancel: boolean;
  readonly maskSet: number;
}

export interface LogChunk {
  readonly stream: Stream;
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly maskSet: number;
}

/**
 * The attempts, as the protocol sees them. Every method may be called again with the same arguments and then changes
 * nothing and answers the same. A lease that has ended by `now` is over, also when nobody has noticed yet. Calls that
 * come too early or too late under a lease that holds (a log before the start, a payload after it) are refused with
 * `runner.protocol`. `test/contract/attempt-desk.ts` says all of it as tests.
 */
export interface AttemptDesk {
  /** Leases the oldest attempt this runner may have; with a known `claimId`, the lease that claim was given while it holds. */
  claim(request: ClaimRequest): Promise<ClaimedAttempt | null>;
  /** Calls `wake` when the account may have something to claim. Only a hint. Returns what ends the calls. */
  watch(accountId: string, wake: () => void): () => void;
  /** Before the start only. Values are read for this call; whoever calls seals them at once and keeps none. */
  payload(ref: AttemptRef, now: Date): Promise<StepPayload>;
  masks(ref: AttemptRef, after: number, now: Date): Promise<MaskAddition>;
  /** A new token of an identity of the step, decided anew. Asked again, another one. */
  token(ref: AttemptRef, wish: TokenWish, now: Date): Promise<MadeToken>;
  /** Durable when it returns: from now on the attempt may have run. Extends the lease. */
  started(ref: AttemptRef, now: Date): Promise<LeaseState>;
  /** Extends the lease, started or not. */
  heartbeat(ref: AttemptRef, now: Date): Promise<LeaseState>;
  /**
   * Appends what is new of the chunk. Bytes before the end of what is stored are taken as said before and not compared;
   * a chunk that begins after it is a `gap`; one masked with an older set than the attempt has now is `old_masks`; one
   * that would pass `protocolLimits.logBytes` is `full`.
   */
  appendLog(ref: AttemptRef, chunk: LogChunk, now: Date): Promise<LogPosition>;
  /** Ends the lease. The same result again is taken silently; another one under the same fence is a stale fence. */
  result(ref: AttemptRef, result: StepResult, now: Date): Promise<void>;
}
