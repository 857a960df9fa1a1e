/** What happens to an execution. Events are stored and are the truth; every one has a version and a bound. */
import { z } from 'zod';
import type { StatusReason } from './state.ts';

const uid = z.string().min(1).max(257);
const id = z.string().min(1).max(200);
const words = z.string().max(4096);
const atMs = z.int().min(0);
const taint = z.strictObject({ secrets: z.array(id).max(1000), untrusted: z.boolean() });
const ofAttempt = { stepUid: uid, attempt: z.int().min(1).max(1000) };
const underLease = { ...ofAttempt, fence: id };

export const exits = ['success', 'failure', 'timeout', 'cancelled', 'error'] as const;

const output = z.strictObject({
  name: z.string().max(128),
  value: z.union([z.strictObject({ text: z.string().max(512 * 1024) }), z.strictObject({ sealed: z.string().min(1).max(4096) })]),
  secrets: z.array(id).max(1000),
  untrusted: z.boolean(),
});

const common = { formatVersion: z.literal(1), atMs };

export const executionEvent = z.discriminatedUnion('type', [
  z.strictObject({ ...common, type: z.literal('execution_started') }),
  /** The answer to `offer_attempt`: runners can see it now. */
  z.strictObject({ ...common, type: z.literal('attempt_offered'), ...ofAttempt }),
  /** `taint`: what the environment delivered with this lease was made of. */
  z.strictObject({ ...common, type: z.literal('attempt_leased'), ...underLease, runner: id, leaseUntilMs: atMs, taint }),
  /** Durable before the runner spawns the process. */
  z.strictObject({ ...common, type: z.literal('attempt_started'), ...underLease }),
  z.strictObject({
    ...common,
    type: z.literal('attempt_ended'),
    ...underLease,
    exit: z.enum(exits),
    message: words.optional(),
    outputs: z.array(output).max(64),
  }),
  /** The lease ran out, or the runner is known to be gone. */
  z.strictObject({ ...common, type: z.literal('attempt_lost'), ...underLease }),
  /** The runner took the lease and will not run this, before it started anything. */
  z.strictObject({ ...common, type: z.literal('runner_refused'), ...underLease, message: words }),
  /** An expression, a secret or a token was refused while the attempt was being prepared. */
  z.strictObject({ ...common, type: z.literal('step_resolved_failed'), ...ofAttempt, code: z.string().max(100), message: words }),
  z.strictObject({ ...common, type: z.literal('abort_requested'), by: z.string().min(1).max(512) }),
  /** A timer set by `set_timer` ran out. */
  z.strictObject({ ...common, type: z.literal('timer_fired'), timer: z.string().min(1).max(600) }),
]);

export type ExecutionEvent = z.infer<typeof executionEvent>;
export type EventOf<T extends ExecutionEvent['type']> = Extract<ExecutionEvent, { type: T }>;

/** What has to be done because of an event, in the transaction that stores it. Each is safe to do twice. */
export type Command =
  /** Make an attempt that runners can claim, then tell with `attempt_offered`. */
  | { readonly type: 'offer_attempt'; readonly stepUid: string; readonly attempt: number; readonly timeoutMs: number; readonly runnerLabels: readonly string[] }
  /** Stop it if it runs; take it back if it does not. A started one answers with `attempt_ended` or `attempt_lost`. */
  | {
      readonly type: 'cancel_attempt';
      readonly stepUid: string;
      readonly attempt: number;
      /** Null = nobody has leased it. */
      readonly fence: string | null;
      readonly started: boolean;
    }
  /** Send `timer_fired` with this name after so long. One that fires late or for nothing is ignored. */
  | { readonly type: 'set_timer'; readonly timer: string; readonly afterMs: number }
  | { readonly type: 'end_execution'; readonly status: EndStatus; readonly reason: StatusReason | null }
  | {
      readonly type: 'audit';
      readonly action: AuditAction;
      readonly outcome: 'success' | 'failure' | 'refused';
      readonly stepUid: string | null;
      readonly detail: Readonly<Record<string, string>>;
    };

/** How an execution can end. */
export type EndStatus = 'Success' | 'Failed' | 'Errored' | 'Expired' | 'Aborted';

/** What nobody asked for in a request; starting and aborting are audited by the operation that did it. */
type AuditAction = 'execution.end' | 'step.lost' | 'step.refuse';
