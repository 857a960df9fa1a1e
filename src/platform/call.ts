/** What a handler gets of one request: who, where, when, and the few means it may use. */
import type { Caller } from '#kernel/caller.ts';
import type { Decision, Question } from '#kernel/decision.ts';
import type { Possession } from '#kernel/manifest.ts';
import type { Access, InputSchemas, Operation } from '#kernel/operation.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import type { Tx } from './database/database.ts';
import type { Log } from './log.ts';

/** One row of the audit, less what the call itself knows (actor, session, request, time). */
export interface Act {
  /** Absent = the operation's own verb. */
  readonly action?: string;
  readonly resource?: { readonly kind: string; readonly uid: string; readonly path: string };
  readonly scope?: ScopePath;
  readonly outcome?: 'success' | 'refused' | 'failed';
  /** Not personal, becomes part of the leaf as it is. */
  readonly detail?: unknown;
  /** Personal: committed to by salted hash and erasable. */
  readonly diff?: unknown;
  readonly claims?: unknown;
  readonly session?: string;
  readonly actor?: { readonly type: string; readonly uid: string; readonly path: string };
}

export interface Call {
  readonly requestId: string;
  /** Time of the request: one value for everything it does. */
  readonly now: Date;
  readonly account: { readonly id: string; readonly identifier: string };
  readonly scope: ScopePath;
  /** The account's snapshot. It goes on with the account; what must be of one piece is decided at `revision`. */
  readonly world: World;
  /** Of the snapshot, confirmed when this run of the request began. A compound act that finds another one runs again. */
  readonly revision: number;
  /** Asserts that somebody is calling; `open` operations use `callerIfAny`. */
  readonly caller: Caller;
  readonly callerIfAny: Caller | null;
  readonly log: Log;
  /** Ends when nobody waits for the answer any more: the time is over, or the client has left. */
  readonly signal: AbortSignal;
  /** Of the peer, or of the client a trusted proxy names. */
  readonly address: string;
  readonly possession: Possession;
  readonly ifMatch: number | null;
  uid(): string;
  random(bytes: number): Buffer;
  decide(question: Question): Decision;
  /** Counts as made use of what was allowed by the handler's own `decide`; the operation's own access counts by itself. */
  used(question: Question): void;
  /** Adds an audit row to the one transaction; without any the operation's own verb is recorded. */
  note(act: Act): void;
  /** Runs once the transaction is durable; what fails in it is logged, and the caller is told that the change is in. */
  afterCommit(effect: () => void | Promise<void>): void;
}

export type CallOperation<S extends InputSchemas, F, P, O> = Operation<Call, Tx, S, F, P, O>;

/** Declares an operation; exists only so that the types of input and answer follow from the record. */
export function operation<S extends InputSchemas, F = undefined, P = undefined, O = P>(
  record: CallOperation<S, F, P, O>,
): CallOperation<S, F, P, O> {
  return record;
}

export function on<I, F>(permission: string, find: (Access<Call, I, F> & { shape: 'on' })['find']): Access<Call, I, F> {
  return { shape: 'on', permission, find };
}

export function open(reason: string): { shape: 'open'; reason: string } {
  return { shape: 'open', reason };
}
