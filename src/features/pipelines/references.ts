/** What a plan names and must be allowed to use. */
import type { FieldError } from '#kernel/errors.ts';
import { resolveReference } from '#kernel/reference.ts';
import { compileField, inField, writtenNeeds } from './language.ts';
import type { FunctionTable, Need } from './language.ts';
import { outputFunction } from './inline.ts';
import type { Plan } from './plan.ts';
import { textsOf } from './rehearse.ts';
import { shown } from './words.ts';

export interface PlanReference {
  readonly permission: 'secret.access' | 'connector.access' | 'environment.access' | 'service.access';
  readonly kind: 'secret' | 'connector' | 'environment' | 'service';
  /** As written: `x`, `org.x`, `account.x`, seen from the pipeline's scope. */
  readonly reference: string;
  /** The first place that names it. */
  readonly pointer: string;
}

interface Named {
  readonly kind: 'secret' | 'connector';
  readonly reference: unknown;
}

/**
 * What the first argument of a delivery call names: `secrets.getValue` a secret, every other function a connector. Null =
 * nothing outside the execution. For the check at use, too, where the argument was computed.
 */
export function namedBy(need: Pick<Need, 'function' | 'args'>): Named | null {
  if (need.function === outputFunction.name) return null;
  return { kind: need.function === 'secrets.getValue' ? 'secret' : 'connector', reference: need.args[0] };
}

/** Services and environments of the stages, and the constant arguments of delivery calls anywhere; each once. */
export function referencesOf(plan: Plan, functions: FunctionTable, errors: FieldError[]): readonly PlanReference[] {
  const found = new Map<string, PlanReference>();
  const add = (kind: PlanReference['kind'], reference: string, pointer: string): void => {
    const key = `${kind} ${reference}`;
    if (!found.has(key)) found.set(key, { permission: `${kind}.access`, kind, reference, pointer });
  };
  for (const { service, environment, pointer } of plan.stages) {
    if (service !== null) add('service', service, `${pointer}/spec/service/serviceRef`);
    if (environment !== null) add('environment', environment, `${pointer}/spec/environment/environmentRef`);
  }
  for (const { identities = [] } of plan.steps) for (const { connector, pointer } of identities) add('connector', connector, `${pointer}/connector`);
  for (const { text, pointer } of textsOf(plan)) {
    for (const need of inField(pointer, errors, () => writtenNeeds(compileField(text, functions))) ?? []) {
      const named = namedBy(need);
      if (named === null) continue;
      const { kind, reference } = named;
      if (typeof reference === 'string' && resolveReference(reference, plan.pipeline.scope) !== null) {
        add(kind, reference, pointer);
      } else {
        const message = `\`${shown(String(reference))}\` names no ${kind}; write \`x\`, \`org.x\` or \`account.x\``;
        errors.push({ pointer, message });
      }
    }
  }
  return [...found.values()];
}
