/**
 * The operation record: describes an endpoint once. Router, authorisation, OpenAPI, typed client, audit and the
 * generated API tests read it. Steps: match → limits → authenticate → parse → authorize → prepare → write → reply.
 */
import type { z } from 'zod';
import type { Check, Target } from './decision.ts';
import type { Level } from './scope.ts';
import type { World } from './world.ts';

/** Decides parsing, error form and caching. */
export type Dialect = 'api' | 'oauth' | 'authzen' | 'scim' | 'runner' | 'page';

export interface InputSchemas {
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
}

type Parsed<Z> = Z extends z.ZodType ? z.infer<Z> : undefined;

export interface InputOf<S extends InputSchemas> {
  readonly params: Parsed<S['params']>;
  readonly query: Parsed<S['query']>;
  readonly body: Parsed<S['body']>;
}

/** All the checks of a compound act, and the worlds they are asked in. */
export interface Plan<F> {
  readonly checks: readonly Check[];
  readonly before: World;
  readonly after: World;
  readonly found: F;
}

/** What an operation asks before it runs. `C` is the call, `I` the parsed input, `F` what was found on the way. */
export type Access<C, I, F> =
  /** A permission on one resource; null = not there, the same bytes as not allowed to know. */
  | { readonly shape: 'on'; readonly permission: string; readonly find: (call: C, input: I) => Promise<{ target: Target; found: F } | null> }
  /** A list of exactly the visible items; `find` gets the means to tell them. */
  | { readonly shape: 'each'; readonly kind: string; readonly find?: (call: C, input: I) => Promise<F> }
  /** A compound act; with one change in it this is `create` and `change`. */
  | { readonly shape: 'plan'; readonly plan: (call: C, input: I) => Promise<Plan<F>> }
  /** Any known caller of the account, about itself. */
  | { readonly shape: 'self' }
  /** No caller needed; the reason is printed in the list of open operations, which a test pins. */
  | { readonly shape: 'open'; readonly reason: string };

export interface Operation<C, T, S extends InputSchemas, F, P, O> {
  /** `<noun>.<verb>`, unique. */
  readonly name: string;
  readonly summary: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** `{scope}/roles`: below an account, org or project; `{account}/…` account only; `{issuer}/…`; or absolute. */
  readonly path: string;
  /** Levels a `{scope}` path exists at; absent = all. */
  readonly levels?: readonly Level[];
  readonly input: S;
  /** Null = no body. */
  readonly output: z.ZodType<O> | null;
  readonly access: Access<C, InputOf<S>, F>;
  /** Verb of the audit row; null = reads, which are audited only when refused. */
  readonly audit: string | null;
  readonly dialect: Dialect;
  /** The server names the thing, so a repeat with the same `Idempotency-Key` gets the first answer, for 24 h. */
  readonly idempotent?: true;
  /** What it changes has a version, its `ETag`, and `If-Match` says which one is meant. Elsewhere that header is refused. */
  readonly versioned?: true;
  /** Network, hashing, key work and reads; holds no connection. Without `write` its result is the answer, and a `Reply` always is. */
  readonly prepare?: (call: C, input: InputOf<S>, found: F) => Promise<P | Reply>;
  /** One transaction with the audit row; nothing but SQL; may run again. */
  readonly write?: (tx: T, call: C, input: InputOf<S>, prepared: P) => Promise<O | Reply>;
}

/** An operation whose types are nobody's business: what the router and the surfaces hold. */
// Parsing by `input` is what makes the forgotten types true again.
export type AnyOperation = Operation<any, any, any, any, any, any>; // oxlint-disable-line typescript/no-explicit-any

/** Thrown by a write that was decided on facts that have changed since: authorise and write again. */
export class Rerun extends Error {
  /** Revision the next run must have seen. */
  readonly revision: number;

  constructor(revision: number) {
    super('decided on an older revision');
    this.name = 'Rerun';
    this.revision = revision;
  }
}

/** Answer that is not the plain JSON of `output`: other status, headers, or bytes. */
export class Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;

  constructor(body: unknown, options: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {}) {
    this.body = body;
    this.status = options.status ?? 200;
    this.headers = options.headers ?? {};
  }
}
