/**
 * The one catalogue of refusals: code → what everybody may know about it. `docs/errors.md` is generated from it.
 * `oauth` is the word an OAuth endpoint answers with (RFC 6749 §5.2, RFC 8693 §2.2.2, RFC 6750 §3.1).
 */
interface ErrorRecord {
  readonly status: number;
  readonly title: string;
  /** What the reader of the error can do about it. */
  readonly help: string;
  readonly retryable?: true;
  readonly oauth?: string;
}

export const catalogue = {
  // The request itself
  'request.invalid': { status: 400, title: 'the request is not valid', help: 'correct the fields named under `errors`', oauth: 'invalid_request' },
  'request.malformed': { status: 400, title: 'the request cannot be read', help: 'send one JSON document in UTF-8 without duplicate members', oauth: 'invalid_request' },
  'request.too_large': { status: 413, title: 'the request is too large', help: 'send less, or split it', oauth: 'invalid_request' },
  'request.headers_too_large': { status: 431, title: 'the headers of the request are too large', help: 'send fewer or shorter headers' },
  'request.unsupported_type': { status: 415, title: 'this content type is not accepted here', help: 'use the content type the endpoint documents', oauth: 'invalid_request' },
  'request.timeout': { status: 408, title: 'the request took too long', help: 'send it again', retryable: true },
  'request.abandoned': { status: 499, title: 'the client left before the answer', help: 'wait for the answer; nobody reads this one', retryable: true },
  'request.method': { status: 405, title: 'this method is not offered here', help: 'see /openapi.json for what is' },
  'request.idempotency_conflict': { status: 409, title: 'this idempotency key was used for another request', help: 'use a new `Idempotency-Key`' },
  'request.rate_limited': { status: 429, title: 'too many requests', help: 'wait as long as `Retry-After` says', retryable: true, oauth: 'temporarily_unavailable' },
  'server.busy': { status: 503, title: 'the server is at its limit', help: 'send it again after `Retry-After`', retryable: true, oauth: 'temporarily_unavailable' },
  'server.draining': { status: 503, title: 'the server is stopping', help: 'send it again', retryable: true, oauth: 'temporarily_unavailable' },
  'server.defect': { status: 500, title: 'the server made a mistake', help: 'give the request id to the operator', oauth: 'server_error' },
  'database.unavailable': { status: 503, title: 'the database does not answer', help: 'send it again later', retryable: true, oauth: 'temporarily_unavailable' },

  // Who is calling, and what they may
  'credential.missing': { status: 401, title: 'a credential is needed', help: 'send `Authorization: Bearer …`', oauth: 'invalid_token' },
  'credential.invalid': { status: 401, title: 'the credential is not accepted', help: 'obtain a new one', oauth: 'invalid_token' },
  'credential.invalid_proof': { status: 401, title: 'the proof of possession is not accepted', help: 'sign a new one for this request, with the key the session is bound to (RFC 9449)' },
  'credential.use_dpop_nonce': { status: 401, title: 'the proof of possession needs our nonce', help: 'sign it again with the nonce of the header `DPoP-Nonce` (RFC 9449 §8)' },
  'credential.setup_code': { status: 401, title: 'the setup code is not accepted', help: 'use the code printed at the first start; `sallyport admin recover` makes a new one' },
  'access.not_found': { status: 404, title: 'not found', help: 'it does not exist, or you may not see it' },
  'access.denied': { status: 403, title: 'not allowed', help: 'ask an administrator of the scope; `sallyport check` tells why' },
  'access.escalation': { status: 403, title: 'you cannot grant what you do not hold', help: 'ask somebody who holds it to make this change' },
  'access.administer': { status: 403, title: 'this credential may not change trust or access', help: 'use a credential made with `mayAdminister: true`' },
  'access.last_admin': { status: 409, title: 'this would leave the account without an administrator', help: 'make somebody else an account admin first' },
  'access.stale': { status: 503, title: 'this node cannot confirm that its access facts are current', help: 'send it again', retryable: true, oauth: 'temporarily_unavailable' },
  'access.revision_ahead': { status: 503, title: 'this node has not seen that revision yet', help: 'send it again', retryable: true },

  // Resources
  'resource.conflict': { status: 409, title: 'it has changed in the meantime', help: 'read it again and repeat the change', retryable: true },
  'resource.exists': { status: 409, title: 'there is one with this identifier already', help: 'choose another identifier, or change the existing one' },
  'resource.precondition': { status: 412, title: 'the version named in `If-Match` is not the current one', help: 'read it again and repeat the change' },
  'resource.referenced': { status: 409, title: 'something else refers to it', help: 'remove the references listed, or use `--cascade`' },
  'resource.built_in': { status: 409, title: 'built-in resources cannot be changed', help: 'make one of your own' },
  'resource.identifier_retired': { status: 409, title: 'this identifier was used before and is not given out twice', help: 'choose another identifier' },

  // Claims in
  'trust.malformed': { status: 400, title: 'the token cannot be read', help: 'see the audit event with this request id', oauth: 'invalid_request' },
  'trust.unknown_issuer': { status: 401, title: 'the token is not accepted', help: 'see the audit event with this request id', oauth: 'invalid_request' },
  'trust.refused': { status: 401, title: 'the token is not accepted', help: 'see the audit event with this request id', oauth: 'invalid_request' },
  'trust.no_mapping': { status: 401, title: 'the token is not accepted', help: 'see the audit event with this request id', oauth: 'invalid_request' },
  'trust.used_before': { status: 401, title: 'the token is not accepted', help: 'see the audit event with this request id', oauth: 'invalid_request' },
  'trust.id_drift': { status: 401, title: 'the token is not accepted', help: 'see the audit event with this request id', oauth: 'invalid_request' },
  'trust.pin_unknown': { status: 409, title: 'the name has not come with this id', help: 'list the names again, and accept the id that is shown as refused' },
  'trust.keys_unavailable': { status: 503, title: 'the keys of the issuer cannot be fetched', help: 'try again; an administrator sees the cause in the audit', retryable: true, oauth: 'temporarily_unavailable' },
  'oauth.unsupported_grant_type': { status: 400, title: 'this grant type is not offered', help: 'use urn:ietf:params:oauth:grant-type:token-exchange or urn:ietf:params:oauth:grant-type:jwt-bearer', oauth: 'unsupported_grant_type' },
  'oauth.invalid_scope': { status: 400, title: 'this scope is more than the token gives, or cannot be read', help: 'name permissions the token gives, or leave `scope` out', oauth: 'invalid_scope' },
  'oauth.invalid_authorization_details': { status: 400, title: 'this is more than the token gives, or cannot be read', help: 'ask within what the token gives; `docs/claims-in.md` has the form', oauth: 'invalid_authorization_details' },
  'oauth.invalid_dpop_proof': { status: 400, title: 'the proof of possession is not accepted', help: 'sign a new one for this request (RFC 9449 §4.2)', oauth: 'invalid_dpop_proof' },
  'oauth.use_dpop_nonce': { status: 400, title: 'the proof of possession needs our nonce', help: 'sign it again with the nonce of the header `DPoP-Nonce` (RFC 9449 §8)', oauth: 'use_dpop_nonce' },
  'oauth.invalid_grant': { status: 400, title: 'the token is not accepted', help: 'see the audit event with this request id', oauth: 'invalid_grant' },
  'oauth.invalid_target': { status: 400, title: 'this audience or resource is not served here', help: 'leave it out, or name the account issuer', oauth: 'invalid_target' },

  // Tokens out, secrets, expressions
  'mint.refused': { status: 403, title: 'no token for this audience', help: 'see the connector and the audit event with this request id' },
  'cloud.refused': { status: 403, title: 'the other side does not accept the token', help: 'mend what the text names there; the audit has the claims that were sent' },
  'cloud.unavailable': { status: 503, title: 'the other side gives no credential now', help: 'try again; the log has the cause', retryable: true },
  'expression.invalid': { status: 400, title: 'the expression cannot be read', help: 'correct it at the place named' },
  'expression.unresolved': { status: 400, title: 'the expression has no value', help: 'check the path or give a default' },
  'expression.forbidden': { status: 400, title: 'this value may not be used here', help: 'secret and untrusted values reach a step only through its environment' },
  'expression.limit': { status: 400, title: 'the expression is too large', help: 'split it' },

  // Pipelines and runners
  'pipeline.invalid': { status: 400, title: 'the pipeline is not valid', help: 'correct the places named under `errors`' },
  'pipeline.input': { status: 400, title: 'the inputs do not fit the pipeline', help: 'see `errors` for what it asks for' },
  'runner.stale_fence': { status: 409, title: 'this attempt belongs to a newer lease', help: 'stop working on it' },
  'runner.protocol': { status: 400, title: 'the runner message is not valid', help: 'use a runner of the same version as the server' },
  'runner.cannot': { status: 500, title: 'this runner cannot run the step', help: 'see the text; change the step, install what it names, or use another runner' },
  'execution.finished': { status: 409, title: 'the execution has ended', help: 'start a new one' },

  // The host
  'config.invalid': { status: 500, title: 'the configuration is not valid', help: 'correct the setting named' },
  'config.unsafe': { status: 500, title: 'the configuration is not safe', help: 'see what the text asks for' },
  'host.in_use': { status: 500, title: 'the data directory is in use', help: 'stop the other server first' },
  'host.database': { status: 500, title: 'the database cannot be started or reached', help: 'see the text, or use `--database-url`' },
  'host.backup': { status: 500, title: 'the backup was not made or cannot be used', help: 'see the text; a backup is loaded whole or not at all' },
  'host.not_empty': { status: 500, title: 'there is data already', help: 'restore into a new data directory or a new database' },
  'keys.wrong_root': { status: 500, title: 'the root key does not fit the data', help: 'start with the key this data was made with' },
  'keys.unsealable': { status: 500, title: 'a sealed value cannot be opened', help: 'the value or its context was changed; restore it from a backup' },
  'outbound.refused': { status: 502, title: 'this address is not reachable from here', help: 'private addresses need `--allow-private-origin`' },
  'outbound.failed': { status: 502, title: 'the other side did not answer as it should', help: 'see the audit event with this request id', retryable: true },
} as const satisfies Record<string, ErrorRecord>;

export type ErrorCode = keyof typeof catalogue;

/** A fault in one place of what the caller sent. `pointer` is a JSON Pointer (RFC 6901) into the request body. */
export interface FieldError {
  readonly pointer: string;
  readonly message: string;
  readonly suggestion?: string;
  /** Index into `documents` of an apply. */
  readonly document?: number;
  /** Of a rule that has a name, such as `lint.mutable_name`. */
  readonly code?: string;
  /** Absent = it refuses. */
  readonly severity?: 'warning';
  /** Uid of another resource the message names: for those who may view it. Warnings only. */
  readonly mentions?: string;
}

export interface RefusalParts {
  /** May reach the caller: lower case, says what to do, user's values in backticks. */
  readonly say?: string;
  /** For the log and the audit of an administrator only. */
  readonly because?: string;
  readonly cause?: unknown;
  readonly errors?: readonly FieldError[];
  /** Seconds for `Retry-After`. */
  readonly retryAfterSeconds?: number;
  /** Structured reasons for the audit row, never for the caller. */
  readonly evidence?: unknown;
  /** Headers of the answer that a protocol asks for. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The one class of expected failures. A caller sees code, catalogue texts, `say` and `errors`; nothing else. */
export class Refusal extends Error {
  readonly code: ErrorCode;
  readonly say: string | undefined;
  readonly because: string | undefined;
  readonly errors: readonly FieldError[];
  readonly retryAfterSeconds: number | undefined;
  readonly evidence: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, parts: RefusalParts = {}) {
    super(parts.because ?? parts.say ?? catalogue[code].title, { cause: parts.cause });
    this.name = 'Refusal';
    this.code = code;
    this.say = parts.say;
    this.because = parts.because;
    this.errors = parts.errors ?? [];
    this.retryAfterSeconds = parts.retryAfterSeconds;
    this.evidence = parts.evidence;
    this.headers = parts.headers ?? {};
  }

  get record(): ErrorRecord {
    return catalogue[this.code];
  }
}

export function refusal(code: ErrorCode, parts: RefusalParts = {}): Refusal {
  return new Refusal(code, parts);
}

/** Stops the request when something impossible is true. The caller sees 500 and a request id. */
export function assert(condition: unknown, defect: string): asserts condition {
  if (!condition) throw new Error(`defect: ${defect}`);
}
