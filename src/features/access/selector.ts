/** Selectors of resource groups, grants and bounds: compiled once, then matched against resources (CONTRACTS §4 rule 5). */
import type { Selector } from '#kernel/caller.ts';
import type { ReasonCode, Target } from '#kernel/decision.ts';
import type { MatchContext, Matcher, MatcherSpec } from '#kernel/matcher.ts';
import { compileMatcher, noClaims } from '#kernel/matcher.ts';
import type { Expression } from './expressions.ts';
import { expressionCouldHold, expressionHolds, expressionHoldsForAll, expressionOf, expressionPrincipalWords, expressionWidens } from './expressions.ts';

/** A line of `where`, or the expression. */
type Condition = Comparison | Expression;

interface Comparison {
  /** As written: `tags.<key>` or the name of an attribute. */
  readonly key: string;
  readonly spec: MatcherSpec;
  readonly matches: Matcher;
}

export interface CompiledSelector {
  readonly type: string;
  /** Null = any name. A draft without a name is in no list of names. */
  readonly identifiers: ReadonlySet<string> | null;
  readonly conditions: readonly Condition[];
  readonly source: Selector;
}

/** `all` includes external kinds. An empty list selects nothing. */
export type Resources = 'all' | readonly CompiledSelector[];

/** What stopped a selector; `progress` grows with the rules that held. */
export interface SelectorMiss {
  readonly code: ReasonCode & ('kind_not_selected' | 'identifier_not_selected' | 'condition_not_met');
  readonly progress: number;
  readonly condition?: string;
}

const tagPrefix = 'tags.';
const principalPrefix = 'principal.';
const actionPrefix = 'action.';

/** Selectors that can never match are left out, so what remains grants something. */
export function compileResources(resources: 'all' | readonly Selector[]): Resources {
  return resources === 'all' ? 'all' : resources.filter(canMatch).map(compileSelector);
}

export function sourceOf(resources: Resources): 'all' | readonly Selector[] {
  return resources === 'all' ? 'all' : resources.map((selector) => selector.source);
}

export function selects(resources: Resources, target: Target, context: MatchContext): boolean {
  return resources === 'all' || resources.some((selector) => selectorMatches(selector, target, context));
}

export function selectorMatches(selector: CompiledSelector, target: Target, context: MatchContext): boolean {
  if (selector.type !== target.kind) return false;
  if (!names(selector, target.identifier)) return false;
  return selector.conditions.every((condition) => conditionHolds(condition, target, context));
}

/** True when some selector asks about this kind, whatever else it asks. */
export function selectsKind(resources: Resources, kind: string): boolean {
  return resources === 'all' || resources.some((selector) => selector.type === kind);
}

/** Those with conditions, of one kind or of all. */
export function conditionalSelectors(resources: Resources, kind?: string): readonly CompiledSelector[] {
  if (resources === 'all') return [];
  return resources.filter((selector) => selector.conditions.length > 0 && (kind === undefined || selector.type === kind));
}

/** How near the best selector came; null when one matches. */
export function selectorMiss(resources: Resources, target: Target, context: MatchContext): SelectorMiss | null {
  if (selects(resources, target, context)) return null;
  let nearest: SelectorMiss = { code: 'kind_not_selected', progress: 0 };
  for (const selector of resources === 'all' ? [] : resources) {
    const miss = missOf(selector, target, context);
    if (miss.progress > nearest.progress) nearest = miss;
  }
  return nearest;
}

/** The value a line of `where` reads of the resource. */
function conditionValue(key: string, target: Pick<Target, 'tags' | 'attributes'>): unknown {
  return key.startsWith(tagPrefix) ? own(target.tags, key.slice(tagPrefix.length)) : own(target.attributes, key);
}

/** True when it reads or compares with what only the asker or the act brings. */
function isAboutAsker({ key, spec }: Comparison): boolean {
  return isOfAsker(key) || 'equalsClaim' in spec || 'equalsPrincipal' in spec;
}

/** What it reads of the principal: `email`, `tags.<key>`, `tags` for all of them. */
export function principalWordsOf({ conditions }: CompiledSelector): readonly string[] {
  return conditions.flatMap((condition) => {
    if ('cel' in condition) return expressionPrincipalWords(condition);
    const compared = 'equalsPrincipal' in condition.spec ? [condition.spec.equalsPrincipal] : [];
    return condition.key.startsWith(principalPrefix) ? [condition.key.slice(principalPrefix.length), ...compared] : compared;
  });
}

function isOfAsker(key: string): boolean {
  return key.startsWith(principalPrefix) || key.startsWith(actionPrefix);
}

/** True when it is about such a resource, whatever its conditions say of the values. */
export function isAbout(selector: CompiledSelector, { kind, identifier }: Target): boolean {
  return selector.type === kind && names(selector, identifier);
}

/** True unless the selector matches for nobody: whoever asks may bring what it takes. */
export function couldMatch(selector: CompiledSelector, target: Target): boolean {
  return selector.type === target.kind && names(selector, target.identifier) && selector.conditions.every((condition) => couldHold(condition, target));
}

/** True when the selector matches whoever asks. */
export function matchesEverybody(selector: CompiledSelector, target: Target): boolean {
  if (selector.type !== target.kind || !names(selector, target.identifier)) return false;
  return selector.conditions.every((condition) => {
    if ('cel' in condition) return expressionHoldsForAll(condition, target);
    return !isAboutAsker(condition) && conditionHolds(condition, target, noClaims);
  });
}

/** True when a change may make it match for more people: it did not for everybody, and a value it compares is another. */
export function widens(selector: CompiledSelector, before: Target, after: Target): boolean {
  return selector.conditions.some((condition) => {
    if ('cel' in condition) return expressionWidens(condition, before, after);
    return isAboutAsker(condition) && conditionValue(condition.key, before) !== conditionValue(condition.key, after);
  });
}

function couldHold(condition: Condition, target: Target): boolean {
  if ('cel' in condition) return expressionCouldHold(condition, target);
  if (isOfAsker(condition.key)) return true;
  const value = conditionValue(condition.key, target);
  return isAboutAsker(condition) ? value !== undefined && value !== null : conditionHolds(condition, target, noClaims);
}

function valueOf(key: string, target: Target, context: MatchContext): unknown {
  if (key.startsWith(principalPrefix)) return principalValue(key.slice(principalPrefix.length), target, context);
  if (key.startsWith(actionPrefix)) return own(target.said?.action, key.slice(actionPrefix.length));
  return conditionValue(key, target);
}

/** What the account knows of a principal wins over what an application says of it. */
function principalValue(name: string, target: Target, context: MatchContext): unknown {
  return context.principal(name) ?? own(target.said?.principal, name);
}

/** Own properties only, so `constructor` and `__proto__` are just names. */
function own(values: Readonly<Record<string, unknown>> | undefined, name: string): unknown {
  return values !== undefined && Object.hasOwn(values, name) ? values[name] : undefined;
}

/** Rule 5: a missing value never matches, whatever the matcher would say of it. */
function conditionHolds(condition: Condition, target: Target, context: MatchContext): boolean {
  if ('cel' in condition) return expressionHolds(condition, target, context);
  const value = valueOf(condition.key, target, context);
  if (value === undefined || value === null) return false;
  if (!('equalsPrincipal' in condition.spec) || target.said === undefined) return condition.matches(value, context);
  return condition.matches(value, { claim: context.claim, principal: (name) => principalValue(name, target, context) });
}

function missOf(selector: CompiledSelector, target: Target, context: MatchContext): SelectorMiss {
  if (selector.type !== target.kind) return { code: 'kind_not_selected', progress: 0 };
  if (!names(selector, target.identifier)) return { code: 'identifier_not_selected', progress: 1 };
  const failed = selector.conditions.find((condition) => !conditionHolds(condition, target, context));
  return { code: 'condition_not_met', progress: 2, ...(failed === undefined ? {} : { condition: failed.key }) };
}

function names(selector: CompiledSelector, identifier: string | null): boolean {
  return selector.identifiers === null || (identifier !== null && selector.identifiers.has(identifier));
}

function canMatch(selector: Selector): boolean {
  if (selector.identifiers !== undefined && selector.identifiers.length === 0) return false;
  if (selector.condition !== undefined && expressionOf(selector.condition) === null) return false;
  return Object.values(selector.where ?? {}).every((spec) => !('oneOf' in spec) || spec.oneOf.length > 0);
}

function compileSelector(source: Selector): CompiledSelector {
  const compared = Object.entries(source.where ?? {}).map(([key, spec]) => ({ key, spec, matches: compileMatcher(spec) }));
  const expression = source.condition === undefined ? null : expressionOf(source.condition);
  return {
    type: source.type,
    identifiers: source.identifiers === undefined ? null : new Set(source.identifiers),
    conditions: expression === null ? compared : [...compared, expression],
    source,
  };
}
