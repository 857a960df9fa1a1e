/**
 * Expressions in CEL on selectors: what they may name, what they see of a question, and what a change of a resource means
 * for them (docs/access.md, «Conditions in CEL»).
 */
import type { Cel, CelFaults, CelVariables } from '#kernel/cel.ts';
import { anything, isCompiled, rememberCel, valueAt } from '#kernel/cel.ts';
import type { Target } from '#kernel/decision.ts';
import type { MatchContext } from '#kernel/matcher.ts';

/** The expression of a selector, as one of its conditions. */
export interface Expression {
  /** The text, shortened, for those who are told what was not met. */
  readonly key: string;
  readonly spec: { readonly expression: string };
  readonly cel: Cel;
}

const resource = { kind: 'string', scope: 'string', identifier: 'string', tags: 'map<string, string>', attributes: 'map<string, dyn>' } as const;
const principal = { type: 'string', path: 'string', identifier: 'string', email: 'string', tags: 'map<string, string>', claims: 'map<string, dyn>' } as const;

/** An application may say more of who asks, and of the act, where its own kinds are asked about. */
const words = { own: { resource, principal }, external: { resource, principal: 'map<string, dyn>', action: 'map<string, dyn>' } } as const satisfies Record<string, CelVariables>;

const remembered = 2_000;
const shownCharacters = 80;

const compileOwn = rememberCel(words.own, remembered);
const compileExternal = rememberCel(words.external, remembered);

/** For kinds of the product, or for kinds of other systems. */
export function compileFor(isExternal: boolean, source: string): Cel | CelFaults {
  return (isExternal ? compileExternal : compileOwn)(source);
}

/** Where the kind is not looked at: what is taken for any of them. Both mean the same to the evaluation. */
export function compileForAny(source: string): Cel | CelFaults {
  const own = compileOwn(source);
  return isCompiled(own) ? own : compileExternal(source);
}

/** Null when a text that was once saved is not taken any more: then it holds for nothing. */
export function expressionOf(source: string): Expression | null {
  const cel = compileForAny(source);
  return isCompiled(cel) ? { key: shortened(source), spec: { expression: source }, cel } : null;
}

function shortened(source: string): string {
  const line = source.replaceAll(/\s+/g, ' ').trim();
  return line.length <= shownCharacters ? line : `${line.slice(0, shownCharacters - 1)}…`;
}

export function expressionHolds({ cel }: Expression, target: Target, context: MatchContext): boolean {
  return cel.evaluate({ resource: seenOf(target), principal: principalOf(context, target), action: target.said?.action ?? {} });
}

/** True unless it holds for nobody, whoever asks. */
export function expressionCouldHold({ cel }: Expression, target: Target): boolean {
  return cel.couldHold({ resource: seenOf(target), ...ofAnybody });
}

/** True when it holds whoever asks. */
export function expressionHoldsForAll({ cel }: Expression, target: Target): boolean {
  return cel.evaluate({ resource: seenOf(target), ...ofAnybody });
}

/** True when it may hold for more people than before: it did not hold for everybody, and a value it reads is another. */
export function expressionWidens(expression: Expression, before: Target, after: Target): boolean {
  if (expressionHoldsForAll(expression, before)) return false;
  return expression.cel.reads.some(({ path }) => !isSame(valueAt(path, { resource: before }), valueAt(path, { resource: after })));
}

/** `email`, `tags.<key>`; `tags` when it takes them all. */
export function expressionPrincipalWords({ cel }: Expression): readonly string[] {
  return cel.reads.flatMap(({ path: [root, ...path] }) => {
    if (root !== 'principal') return [];
    return path.length === 0 ? ['email', 'tags'] : [path.slice(0, path[0] === 'tags' ? 2 : 1).join('.')];
  });
}

const ofAnybody = { principal: anything, action: anything };

/** Entries of a world are targets too, with more in them. */
function seenOf({ kind, scope, identifier, tags, attributes }: Target): Readonly<Record<string, unknown>> {
  return { kind, scope, identifier, tags, attributes };
}

/** Tags and attributes are flat. */
function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const [had, has] = [new Map(Object.entries(a)), Object.entries(b)];
  return had.size === has.length && has.every(([name, value]) => had.has(name) && had.get(name) === value);
}

const known = new WeakMap<MatchContext, Readonly<Record<string, unknown>>>();

/** What the account knows of a principal wins over what an application says of it; claims are a session's alone. */
function principalOf(context: MatchContext, { said }: Target): Readonly<Record<string, unknown>> {
  let fields = known.get(context);
  if (fields === undefined) known.set(context, (fields = knownOf(context)));
  return said === undefined ? fields : { ...said.principal, claims: undefined, ...fields };
}

function knownOf(context: MatchContext): Readonly<Record<string, unknown>> {
  const names = Object.keys(principal).filter((name) => name !== 'claims');
  const fields = names.map((name) => [name, context.principal(name)] as const);
  const claims = context.claim('');
  return Object.fromEntries([...fields, ['claims', claims] as const].filter(([, value]) => value !== undefined));
}
