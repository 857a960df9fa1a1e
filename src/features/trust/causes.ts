/**
 * Why a token is refused, in sentences, the likeliest cause first: the check it fails, or the claim mappings it came
 * nearest to. Pure; who may read them is decided elsewhere.
 */
import { canonicalJson } from '#kernel/canonical.ts';
import type { ClaimExpectation } from './claim-condition.ts';
import type { GrantState } from './grant-states.ts';
import { nearClaim, nearValue } from './near-value.ts';

type Claims = Readonly<Record<string, unknown>>;

/** A check that failed. */
export interface FailedCheck {
  readonly check: string;
  readonly because?: string | undefined;
  readonly expected?: unknown;
  readonly actual?: unknown;
}

/** What a mapping said of the claims, ready to be shown. */
export interface MappingFacts {
  readonly mapping: string;
  readonly matched: boolean;
  readonly conditions: readonly { readonly claim: string; readonly expected: unknown; readonly actual: unknown; readonly holds: boolean | null }[];
  readonly expression: { readonly source: string; readonly because: string | null } | null;
  /** What it asks of how a token is used, and this one was not. */
  readonly uses: readonly string[];
  readonly grants: readonly GrantState[];
}

const timeChecks = new Set(['expiry', 'not_before', 'issued_at']);
const maxShown = 200;
const maxConditions = 3;

export function causeOfCheck({ check, because, expected, actual }: FailedCheck): string {
  const show = timeChecks.has(check) ? time : text;
  const seen = [...(actual === undefined ? [] : [`the token has ${show(actual)}`]), ...(expected === undefined ? [] : [`${timeChecks.has(check) ? 'compared with' : 'expected'} ${show(expected)}`])];
  return `${check}: ${because ?? 'it failed'}${seen.length === 0 ? '' : ` (${seen.join('; ')})`}`;
}

/** Null when the mapping matches and gives something. */
export function causeOfMapping(facts: MappingFacts, claims: Claims): string | null {
  const failed = facts.conditions.filter(({ holds }) => holds === false).map((condition) => said(condition, claims)).toSorted((a, b) => a.rank - b.rank);
  const conditions = failed.slice(0, maxConditions).map((each) => each.text);
  if (failed.length > maxConditions) conditions.push(`and ${failed.length - maxConditions} more`);
  for (const { claim } of facts.conditions.filter(({ holds }) => holds === null)) conditions.push(`whether \`${claim}\` fits cannot be told, since it was redacted`);
  const { expression } = facts;
  if (expression !== null && expression.because !== null) conditions.push(`its condition \`${expression.source}\` does not hold: ${expression.because}`);
  conditions.push(...facts.uses);
  if (conditions.length > 0) return `claim mapping \`${facts.mapping}\`: ${conditions.join('; ')}`;
  if (facts.grants.some(({ because }) => because === null)) return null;
  const why = facts.grants.slice(0, maxConditions).map(({ grant, because }) => `grant ${grant}: ${because}`);
  return `claim mapping \`${facts.mapping}\` matches and gives nothing: ${why.length === 0 ? 'it has no grants' : why.join('; ')}`;
}

function said({ claim, expected, actual }: MappingFacts['conditions'][number], claims: Claims): { readonly text: string; readonly rank: number } {
  const must = mustBe(expected);
  if (actual === null || actual === undefined) {
    const near = nearClaim(claim, claims);
    return { text: `\`${claim}\` is not in the token${near === null ? '' : `, which has \`${near}\``}; it must ${must}`, rank: near === null ? 1 : 0 };
  }
  const near = nearValue(expected as ClaimExpectation, actual);
  return { text: `\`${claim}\` is ${text(actual)} and must ${must}${near === null ? '' : `: ${near}`}`, rank: near === null ? 2 : 0 };
}

function mustBe(expected: unknown): string {
  if (typeof expected !== 'object' || expected === null) return text(expected);
  const [[how, value] = ['', null], ...more] = Object.entries(expected);
  if (more.length === 0 && how === 'equals') return `equal ${text(value)}`;
  if (more.length === 0 && how === 'oneOf') return `be one of ${text(value)}`;
  if (more.length === 0 && how === 'glob') return `be like ${text(value)}`;
  if (more.length === 0 && how === 'exists') return value === true ? 'be there' : 'be absent';
  if (more.length === 0 && how === 'any') return `be a list with an element that must ${mustBe(value)}`;
  if (more.length === 0 && how === 'all') return `be a list, not empty, whose every element must ${mustBe(value)}`;
  return `be ${text(expected)}`;
}

function text(value: unknown): string {
  const written = value === undefined ? 'nothing' : canonicalJson(value);
  return written.length <= maxShown ? written : `${written.slice(0, maxShown).toWellFormed()}…`;
}

function time(seconds: unknown): string {
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || Math.abs(seconds) > 8e12) return text(seconds);
  return `${new Date(seconds * 1_000).toISOString().slice(0, 19)}Z`;
}
