/** How a claim that does not fit came near to what a mapping asks: what people get wrong most. Pure; for traces only. */
import { nearest } from '#kernel/identifier.ts';
import { compileMatcher, noClaims, pointerOf } from '#kernel/matcher.ts';
import type { ClaimExpectation } from './claim-condition.ts';

const maxCompared = 100;
const maxLength = 1_000;
const maxNames = 200;
const hasEdge = /^\s|[\s/]$/;
const beyondAscii = /[^\x20-\x7e]/;

/** Null when it is simply another value. Cheap enough to be asked of every condition of every mapping. */
export function nearValue(expected: ClaimExpectation, actual: unknown): string | null {
  if (actual === null || actual === undefined) return null;
  if ('any' in expected || 'all' in expected) return Array.isArray(actual) ? null : 'the mapping wants a list, and the token has one value';
  if ('glob' in expected) return nearGlob(expected.glob, actual);
  const wanted = wantedOf(expected);
  for (const one of wanted) {
    const how = nearScalar(one, actual);
    if (how !== null) return how;
  }
  return null;
}

function wantedOf(expected: ClaimExpectation): readonly unknown[] {
  if ('equals' in expected) return [expected.equals];
  return 'oneOf' in expected ? expected.oneOf.slice(0, maxCompared) : [];
}

function nearScalar(wanted: unknown, actual: unknown): string | null {
  if (Array.isArray(actual)) return actual.slice(0, maxCompared).includes(wanted) ? 'the claim is a list that has the value among others' : null;
  if (typeof wanted !== typeof actual) return isScalar(actual) && String(wanted) === String(actual) ? `the token has ${nameOf(actual)}, the mapping wants ${nameOf(wanted)}` : null;
  if (typeof wanted !== 'string' || typeof actual !== 'string' || actual.length > maxLength) return null;
  return nearText(wanted, actual);
}

/** Asked ten thousand times for a token nobody mapped, so the cheap questions come first. */
function nearText(wanted: string, actual: string): string | null {
  const difference = Math.abs(wanted.length - actual.length);
  if (difference > 8) return null;
  if (difference === 0 && wanted.toLowerCase() === actual.toLowerCase()) return 'only upper and lower case differ';
  if (hasEdge.test(wanted) || hasEdge.test(actual)) {
    if (wanted.trim() === actual.trim()) return 'only spaces around it differ';
    if (wanted.replace(/\/$/, '') === actual.replace(/\/$/, '')) return 'only the slash at the end differs';
  }
  if ((beyondAscii.test(wanted) || beyondAscii.test(actual)) && wanted.normalize('NFKC') === actual.normalize('NFKC')) return 'they look alike and are written in other characters';
  return wanted.length >= 5 && difference <= 1 && isOneSlip(wanted, actual) ? 'only one character differs, or two are swapped' : null;
}

/** One character more, less or another, or two neighbours swapped. */
function isOneSlip(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const [restA, restB] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  return restA.length + restB.length <= 2 || (restA.length === 2 && restB.length === 2 && restA[0] === restB[1] && restA[1] === restB[0]);
}

function nearGlob(glob: string, actual: unknown): string | null {
  if (typeof actual === 'number' || typeof actual === 'boolean') return `the token has ${nameOf(actual)}, and a glob compares texts`;
  if (Array.isArray(actual)) return 'the claim is a list, and a glob compares one text';
  if (typeof actual !== 'string' || actual.length > maxLength) return null;
  return compileMatcher({ glob: glob.toLowerCase() })(actual.toLowerCase(), noClaims) ? 'only upper and lower case differ' : null;
}

/** For a claim that is missing: one of nearly that name, or of that name elsewhere in the token. */
export function nearClaim(pointer: string, claims: Readonly<Record<string, unknown>>): string | null {
  const names = Object.keys(claims).slice(0, maxNames);
  const wanted = pointer.slice(1).replaceAll('~1', '/').replaceAll('~0', '~');
  const last = wanted.slice(wanted.lastIndexOf('/') + 1);
  const flat = names.find((name) => name === wanted || name.toLowerCase() === wanted.toLowerCase());
  if (flat !== undefined) return pointerOf([flat]);
  const within = names.find((name) => isObject(claims[name]) && Object.hasOwn(claims[name], last));
  if (within !== undefined) return pointerOf([within, last]);
  const near = nearest(wanted, names);
  return near === undefined ? null : pointerOf([near]);
}

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nameOf(value: unknown): string {
  return typeof value === 'string' ? `the text ${JSON.stringify(value.slice(0, 100))}` : `${typeof value === 'number' ? 'the number' : 'the value'} ${JSON.stringify(value)}`;
}
