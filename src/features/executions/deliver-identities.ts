/** What a step is given by its `identities`, and what it asks of them while it runs: decided with the run grant, each time. */
import type { MadeToken, StepIdentities, TokenWish } from '#features/runners/schema.ts';
import { protocolLimits } from '#features/runners/schema.ts';
import type { PlanIdentity } from '#features/pipelines/feature.ts';
import { planStep } from '#features/pipelines/feature.ts';
import type { Question } from '#kernel/decision.ts';
import { refusal } from '#kernel/errors.ts';
import type { ExecutionFacts } from '#kernel/execution-facts.ts';
import type { Entry } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { Delivered, GivenIdentity, IdentityGiver, IdentityUse, RenewedToken } from '#platform/delivery.ts';
import type { Execution } from './store.ts';
import type { Use, Using } from './uses.ts';
import { useOf } from './uses.ts';

/** As they are kept for a lease: with the ends of tokens, not with what is left of their lives. */
export interface DeliveredIdentities {
  readonly environment: Readonly<Record<string, string>>;
  readonly files: readonly { readonly name: string; readonly content: string; readonly of: (TokenWish & { readonly expiresAtMs: number }) | null }[];
  readonly asked: readonly TokenWish[];
}

export interface IdentityStep {
  readonly execution: Execution;
  readonly stepUid: string;
  readonly attemptId: string;
  readonly facts: ExecutionFacts;
  readonly now: Date;
}

export interface UsedIdentity extends Use {
  readonly identity: PlanIdentity;
}

/** Connectors of the step's identities that the run may use, now; refuses otherwise. */
export function identityUses(using: Using, { execution, stepUid }: Pick<IdentityStep, 'execution' | 'stepUid'>): UsedIdentity[] {
  return identitiesOf(execution, stepUid).map((identity) => ({ identity, ...useOf(using, { kind: 'connector', reference: identity.connector, pointer: `${identity.pointer}/connector` }) }));
}

function identitiesOf(execution: Execution, stepUid: string): readonly PlanIdentity[] {
  return planStep(execution.state.plan, stepUid)?.identities ?? [];
}

export interface IdentitiesMade {
  readonly identities: DeliveredIdentities | null;
  readonly made: readonly Pick<Delivered, 'act' | 'record'>[];
  readonly masks: readonly { readonly name: string; readonly value: string }[];
}

/** `taken`: names of variables the step has already. */
export async function deliverIdentities(giver: IdentityGiver, step: IdentityStep, uses: readonly UsedIdentity[], taken: Iterable<string>): Promise<IdentitiesMade> {
  if (uses.length === 0) return { identities: null, made: [], masks: [] };
  const owners = new Map([...taken].map((name) => [name, 'the environment of the step']));
  const environment: Record<string, string> = Object.create(null) as Record<string, string>;
  const files: DeliveredIdentities['files'][number][] = [];
  const asked: TokenWish[] = [];
  const made: Pick<Delivered, 'act' | 'record'>[] = [];
  const masks: { name: string; value: string }[] = [];
  for (const { identity, entry } of uses) {
    const given = await giver.give(useOfIdentity(step, identity, entry));
    for (const [name, value] of Object.entries(given.environment)) {
      const other = owners.get(name);
      if (other !== undefined) throw refusal('expression.invalid', { say: `the variable \`${name}\` is of the identity \`${identity.name}\` and of ${other}; one of them has to go, or to have another form (\`as\`)` });
      owners.set(name, `the identity \`${identity.name}\``);
      environment[name] = value;
    }
    files.push(...filesOf(identity, given, files));
    asked.push(...given.asked.map((audience) => ({ identity: identity.name, audience })));
    made.push(...given.made);
    masks.push(...given.secrets.map((value) => ({ name: maskName(identity, entry), value })));
  }
  return { identities: { environment, files, asked }, made, masks };
}

function filesOf(identity: PlanIdentity, { files, expiresAtMs }: GivenIdentity, before: DeliveredIdentities['files']): DeliveredIdentities['files'] {
  const twice = files.find(({ name }) => before.some((one) => one.name === name));
  if (twice !== undefined) throw refusal('expression.invalid', { say: `the identity \`${identity.name}\` has a file that another has, too; give it another name` });
  return files.map(({ name, content, audience }) => ({ name, content, of: audience === null ? null : { identity: identity.name, audience, expiresAtMs: expiresAtMs.get(audience) ?? 0 } }));
}

/** As the runner is told of them. */
export function identitiesFor({ environment, files, asked }: DeliveredIdentities, now: Date): StepIdentities {
  return {
    environment: { ...environment },
    files: files.map(({ name, content, of }) => ({ name, content, of: of === null ? null : { identity: of.identity, audience: of.audience, lifeMs: lifeMs(of.expiresAtMs, now) } })),
    asked: asked.slice(0, protocolLimits.askedTokens),
  };
}

export interface TokenMade {
  readonly answer: MadeToken;
  readonly renewed: RenewedToken;
  readonly question: Question;
}

/** One more token, for what a running step asks or for its files. */
export async function renewIdentity(giver: IdentityGiver, using: Using, step: IdentityStep, { identity: name, audience }: TokenWish): Promise<TokenMade> {
  const identity = identitiesOf(step.execution, step.stepUid).find((one) => one.name === name);
  if (identity === undefined) throw refusal('mint.refused', { say: `the step has no identity \`${name.slice(0, 128)}\`` });
  const { entry, question } = useOf(using, { kind: 'connector', reference: identity.connector, pointer: `${identity.pointer}/connector` });
  const renewed = await giver.renew(useOfIdentity(step, identity, entry), audience);
  const named = maskName(identity, entry);
  const { token, files, expiresAtMs } = renewed;
  return { renewed, question, answer: { token, lifeMs: lifeMs(expiresAtMs, step.now), files: files.map((file) => ({ ...file })), secrets: [{ name: named, value: token }] } };
}

function useOfIdentity({ facts, attemptId, now }: IdentityStep, { name, audiences, forms }: PlanIdentity, entry: Entry): IdentityUse {
  const { uid: id, identifier } = facts.account;
  return { account: { id, identifier }, entry, facts, attemptId, now, name, audiences, forms };
}

const maxMaskName = 512;

function maskName({ name }: PlanIdentity, entry: Entry): string {
  return `identity ${name} (${entry.kind} ${entryPath(entry)})`.slice(0, maxMaskName);
}

function lifeMs(expiresAtMs: number, now: Date): number {
  return Math.max(0, expiresAtMs - now.getTime());
}
