/** How much a refused caller learns, and what the audit learns of it. */
import type { Check, Question } from '#kernel/decision.ts';
import type { FieldError } from '#kernel/errors.ts';
import { Refusal, refusal } from '#kernel/errors.ts';
import { upwards } from '#kernel/scope.ts';
import type { Call } from '../call.ts';

/** One who may not view it learns nothing: the same bytes as for a thing that is not there. */
export function refuseQuestion(call: Call, question: Question, errors: readonly FieldError[] = []): Refusal {
  const { permission, target } = question;
  const view = `${target.kind}.view`;
  const visible = permission !== view && call.decide({ permission: view, target }).allowed;
  return visible
    ? refusal('access.denied', { say: `you need \`${permission}\` here`, errors, evidence: evidenceOf(question) })
    : refusal('access.not_found', { because: `lacks ${permission}`, evidence: evidenceOf(question) });
}

export function refuseCheck(call: Call, failed: Check): Refusal {
  const place = failed.field === undefined ? [] : [{ document: failed.field.document, pointer: failed.field.pointer, message: 'refused here' }];
  if (failed.ask === 'administer') return refusal('access.administer', { errors: place, evidence: { kind: failed.kind } });
  if (failed.ask === 'holds') {
    // The reason names bindings and mappings, which are not for everybody.
    const explains = call.decide({ permission: 'access.explain', target: { kind: 'access', scope: failed.given.extent.scope, identifier: null, tags: {}, attributes: {} } });
    return refusal('access.escalation', { because: failed.why, ...(explains.allowed ? { say: failed.why } : {}), errors: place, evidence: { why: failed.why, given: failed.given } });
  }
  return refuseQuestion(call, failed, place);
}

/**
 * Nothing is there under this name. For one who could not see it if it were, that is a refusal like any other: the same
 * bytes, the same audit row and so the same time.
 */
export function refuseMissing(call: Call, permission: string, identifier: string | null): Refusal {
  const kind = permission.slice(0, permission.indexOf('.'));
  const scope = upwards(call.scope).find((at) => call.world.hasScope(at))!;
  if (call.decide({ permission: `${kind}.view`, target: { kind, scope, identifier, tags: {}, attributes: {} } }).allowed) return refusal('access.not_found');
  return refusal('access.not_found', { because: `lacks ${permission}`, evidence: { permission, kind, scope: call.scope, identifier } });
}

export interface RefusalRow {
  readonly scope: string;
  readonly detail: { readonly code: string; readonly evidence?: unknown };
}

const audited = new Set(['access.not_found', 'access.denied', 'access.escalation', 'access.administer', 'access.last_admin']);

/** What the audit keeps of a failure; null when it is no refusal of rights. What is just not there has no evidence. */
export function refusalRow(call: Call, error: unknown): RefusalRow | null {
  if (!(error instanceof Refusal) || !audited.has(error.code)) return null;
  const { code, evidence } = error;
  if (code === 'access.not_found' && evidence === undefined) return null;
  // A scope that is not there is nobody's yet: the row belongs to the nearest that is.
  const scope = upwards(scopeOf(evidence) ?? call.scope).find((at) => call.world.hasScope(at))!;
  return { scope, detail: { code, ...(evidence === undefined ? {} : { evidence }) } };
}

function evidenceOf({ permission, target: { kind, scope, identifier } }: Question) {
  return { permission, kind, scope, identifier };
}

/** So that whoever may see the audit of a scope sees who was refused in it. */
function scopeOf(evidence: unknown): string | undefined {
  if (typeof evidence !== 'object' || evidence === null || !('scope' in evidence)) return undefined;
  return typeof evidence.scope === 'string' ? evidence.scope : undefined;
}
