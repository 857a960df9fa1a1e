/** One run of a request: what its handler gets, and what it leaves to be written and to be done afterwards. */
import type { Caller } from '#kernel/caller.ts';
import type { Decision, Question } from '#kernel/decision.ts';
import { assert } from '#kernel/errors.ts';
import type { Possession } from '#kernel/manifest.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import type { Act, Call } from '../call.ts';
import type { Log } from '../log.ts';
import type { Account, PipelineServices, RawRequest } from './pipeline.ts';

export interface RunFacts {
  readonly request: RawRequest;
  readonly now: Date;
  readonly account: Account;
  readonly caller: Caller | null;
  readonly scope: ScopePath;
  readonly ifMatch: number | null;
  /** Null = the operation has no account. */
  readonly world: World | null;
}

export class RunningCall implements Call {
  readonly requestId: string;
  readonly now: Date;
  readonly account: Account;
  readonly scope: ScopePath;
  readonly callerIfAny: Caller | null;
  readonly revision: number;
  readonly address: string;
  readonly possession: Possession;
  readonly ifMatch: number | null;
  readonly acts: Act[] = [];
  readonly effects: (() => void | Promise<void>)[] = [];
  // Not `#`: a call may be the prototype of another.
  private readonly services: PipelineServices;
  private readonly request: RawRequest;
  private readonly worldIfAny: World | null;

  constructor(services: PipelineServices, { request, now, account, caller, scope, ifMatch, world }: RunFacts) {
    this.requestId = request.requestId;
    this.now = now;
    this.account = account;
    this.scope = scope;
    this.callerIfAny = caller;
    this.revision = world?.revision ?? 0;
    this.address = request.address;
    this.possession = request.possession;
    this.ifMatch = ifMatch;
    this.services = services;
    this.request = request;
    this.worldIfAny = world;
  }

  get world(): World {
    assert(this.worldIfAny !== null, 'the operation has no account');
    return this.worldIfAny;
  }

  get caller(): Caller {
    assert(this.callerIfAny !== null, 'the operation is open and has no caller');
    return this.callerIfAny;
  }

  get log(): Log {
    return this.request.log;
  }

  get signal(): AbortSignal {
    return this.request.awaiting.signal;
  }

  uid(): string {
    return this.services.randomness.uid();
  }

  random(bytes: number): Buffer {
    return this.services.randomness.bytes(bytes);
  }

  decide(question: Question): Decision {
    const decision = this.services.gate.decide(this.world, this.caller, question, this.now);
    this.services.metrics.decided(decision.allowed);
    return decision;
  }

  used(question: Question): void {
    this.services.gate.used(this.caller, question, this.now);
  }

  note(act: Act): void {
    this.acts.push(act);
  }

  afterCommit(effect: () => void | Promise<void>): void {
    this.effects.push(effect);
  }
}
