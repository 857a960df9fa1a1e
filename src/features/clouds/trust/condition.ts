/** Conditions on claims in CEL, as Google and Kubernetes take them, and what they make of a token. */
import { compileCel, isCompiled } from '#kernel/cel.ts';
import { assert } from '#kernel/errors.ts';
import type { PreviewedClaims, TrustCheck } from './words.ts';

/** How each other side calls the claims. */
const variables = { assertion: { assertion: 'map<string, dyn>' }, claims: { claims: 'map<string, dyn>' } } as const;
type Variable = keyof typeof variables;

/** `assertion.project_uid == "…" && …` */
export function conditionOf(variable: Variable, pins: Readonly<Record<string, string>>): string {
  return Object.entries(pins).map(([name, value]) => `${variable}.${name} == ${JSON.stringify(value)}`).join(' && ');
}

/** The condition is evaluated as it is written. */
export function conditionCheck(what: string, variable: Variable, condition: string, claims: PreviewedClaims): TrustCheck {
  const compiled = compileCel(condition, variables[variable]);
  assert(isCompiled(compiled), 'a generated condition does not compile');
  const { outcome } = compiled.explain({ [variable]: claims });
  return { what, wants: condition, has: outcome === 'holds' ? 'holds' : 'does not hold', matches: outcome === 'holds' };
}
