import { globMatches } from '#kernel/matcher.ts';
import type { Scalar } from '#kernel/matcher.ts';
import type { ElementSpec } from '#features/trust/claim-condition.ts';
import type { KnownClaim, Preset } from '#features/trust/presets.ts';
import { knownClaim } from '#features/trust/presets.ts';
import type { PlacedCondition } from './compared.ts';
import { placed, valuesLetThrough } from './compared.ts';
import type { Finding, MappingRule } from './finding.ts';
import { finding } from './finding.ts';

/** Conditions that contradict each other, or what the preset knows of the claim. Nobody gets in, and nobody learns why. */
export const neverMatches: MappingRule = ({ spec, issuer }) => {
  const claims = new Set(spec.when.map(({ claim }) => claim));
  return [
    ...[...claims].flatMap((claim) => contradiction(placed(spec).filter(({ condition }) => condition.claim === claim), valuesLetThrough(spec, claim))),
    ...placed(spec).flatMap((one) => [...againstPreset(one, issuer.preset), ...emptyList(one), ...anotherIssuer(one, issuer.rules.issuer)]),
  ];
};

/** `left`: what equality lets through; globs and absence must go with it. Told at the last condition on the claim. */
function contradiction(conditions: readonly PlacedCondition[], left: readonly unknown[] | null): Finding[] {
  if (conditions.length < 2) return [];
  const { condition: { claim }, pointer } = conditions.at(-1)!;
  const never = (why: string): Finding[] => [finding('lint.never_matches', pointer, `no token meets all conditions on \`${claim}\`: ${why}; take one away`)];
  const all = conditions.map(({ condition }) => condition);
  if (all.some(({ absent }) => absent === true) && all.some(({ absent }) => absent !== true)) return never('it cannot be absent and compared');
  const ofLists = all.some(({ any, all: every }) => any !== undefined || every !== undefined);
  const ofValues = all.some(({ equals, oneOf, glob }) => equals !== undefined || oneOf !== undefined || glob !== undefined);
  if (ofLists && ofValues) return never('it cannot be a list and one value');
  if (left === null || all.some(({ oneOf }) => oneOf?.length === 0)) return [];
  const globs = all.flatMap(({ glob }) => glob ?? []);
  const fits = left.some((value) => globs.every((glob) => typeof value === 'string' && globMatches(glob, value)));
  return fits ? [] : never('they have no value in common');
}

function againstPreset({ condition, pointer }: PlacedCondition, preset: Preset): Finding[] {
  const known = knownClaim(preset, condition.claim);
  if (known === undefined) return [];
  const never = (at: string, why: string): Finding[] => [finding('lint.never_matches', `${pointer}${at}`, `\`${condition.claim}\` ${why}`)];
  const { any, all, absent } = condition;
  if (absent === true) return known.presence === 'required' ? never('/absent', 'is in every token of such an issuer') : [];
  if (any !== undefined || all !== undefined) return known.type === 'list' || known.type === 'any' ? [] : never('', `is ${words[known.type]} and no list; compare it itself`);
  if (known.type === 'any') return [];
  return ofType(condition, known, never) ?? unknownValues(condition, known, pointer);
}

/** Null when the type fits. */
function ofType({ equals, oneOf, glob }: ElementSpec, known: KnownClaim, never: (at: string, why: string) => Finding[]): Finding[] | null {
  const is = words[known.type];
  if (equals === undefined && oneOf === undefined && glob === undefined) return null;
  if (known.type === 'list') return never('', 'is a list; compare its elements with `any` or `all`');
  if (known.type === 'object') return never('', 'is an object; compare what is in it');
  if (glob !== undefined) return known.type === 'text' ? null : never('/glob', `is ${is}, and a glob compares text`);
  const values = equals === undefined ? oneOf! : [equals];
  if (values.length === 0 || values.some((value) => typeOf(value) === known.type)) return null;
  const hint = known.type === 'text' ? `; write "${String(values[0])}"` : '';
  return never(equals === undefined ? '/oneOf' : '/equals', `is always ${is} and never ${words[typeOf(values[0]!)]}${hint}`);
}

function unknownValues({ equals, oneOf }: ElementSpec, { claim, values }: KnownClaim, pointer: string): Finding[] {
  if (values === undefined) return [];
  const strange = (equals === undefined ? (oneOf ?? []) : [equals]).find((value) => !values.includes(value));
  if (strange === undefined) return [];
  return [finding('lint.unknown_value', pointer, `\`${claim}\` is known to be ${values.map((value) => `\`${String(value)}\``).join(', ')}, and not \`${String(strange)}\`; is it misspelt?`)];
}

/** Legal, since an empty list selects nothing, and hardly meant. */
function emptyList({ condition: { oneOf, any, all }, pointer }: PlacedCondition): Finding[] {
  const at = oneOf?.length === 0 ? '/oneOf' : any?.oneOf?.length === 0 ? '/any/oneOf' : all?.oneOf?.length === 0 ? '/all/oneOf' : null;
  return at === null ? [] : [finding('lint.selects_nothing', `${pointer}${at}`, 'a list of no values lets nobody in; name some, or delete the mapping')];
}

function anotherIssuer({ condition: { claim, equals }, pointer }: PlacedCondition, issuer: string): Finding[] {
  if (claim !== '/iss' || equals === undefined || equals === issuer) return [];
  return [finding('lint.never_matches', `${pointer}/equals`, `the mapping is of the issuer \`${issuer}\`; take the condition away`)];
}

const words = { text: 'text', number: 'a number', boolean: '`true` or `false`', list: 'a list', object: 'an object', any: 'anything' } as const;

function typeOf(value: Scalar): 'text' | 'number' | 'boolean' {
  return typeof value === 'string' ? 'text' : typeof value === 'number' ? 'number' : 'boolean';
}
