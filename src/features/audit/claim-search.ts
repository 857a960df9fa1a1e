/**
 * Searching the audit by a claim. `/terraform_workspace_id=ws-123` asks for exactly this text at this JSON Pointer,
 * `/run_number:number=5` and `/protected:boolean=true` for values of another type; a JSON object asks for all its members.
 * A claim that was redacted is found by the digest its value would have.
 */
import { z } from 'zod';
import { canonicalJson } from '#kernel/canonical.ts';
import { pointerOf } from '#kernel/matcher.ts';
import type { Scalar } from '#kernel/matcher.ts';
import type { Digester } from '#platform/keyring.ts';

/** What the claims of a row must be like, all of it. */
export interface ClaimMatch {
  /** One of these documents is contained in the claims; what the index is asked for. */
  readonly contained: readonly object[];
  /** And at this place stands one of these values; null = containment says it all. */
  readonly exactly: { readonly path: readonly string[]; readonly values: readonly unknown[] } | null;
}

const maxParts = 8;
const pointerPattern = /^(?:\/(?:[^/~]|~[01])*)+$/;

/** What stands in place of a redacted value: equal for equal values of one claim of an account, and nothing else. */
export function digestOfClaim(digest: Digester, pointer: string, value: unknown): string {
  return `redacted:${digest(`claim:${pointer}`, canonicalJson(value)).toString('base64url')}`;
}

/** Null when the text is neither form. */
export function readClaimSearch(text: string, digest: Digester): readonly ClaimMatch[] | null {
  // No stored claim can hold U+0000, and the database refuses to be asked.
  if (text.includes('\0') || /\\u0000/i.test(text)) return null;
  return text.startsWith('/') ? readPointerForm(text, digest) : readObjectForm(text, digest);
}

function readPointerForm(text: string, digest: Digester): readonly ClaimMatch[] | null {
  const equals = text.indexOf('=');
  if (equals === -1) return null;
  const left = text.slice(0, equals);
  const [typed, type = 'text'] = /:(text|number|boolean)$/.exec(left) ?? [''];
  const pointer = left.slice(0, left.length - typed.length);
  const value = valueOf(type, text.slice(equals + 1));
  if (value === undefined || !pointerPattern.test(pointer)) return null;
  const path = pointer.slice(1).split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (path.length > maxParts) return null;
  const values = [value, digestOfClaim(digest, pointer, value)];
  return [{ contained: values.flatMap((one) => documentsWith(path, one)), exactly: { path, values } }];
}

function valueOf(type: string, written: string): Scalar | undefined {
  if (type === 'text') return written;
  if (type === 'boolean') return written === 'true' ? true : written === 'false' ? false : undefined;
  const number = /^-?(?:0|[1-9]\d{0,20})(?:\.\d{1,20})?(?:[eE][-+]?\d{1,3})?$/.test(written) ? Number(written) : NaN;
  return Number.isFinite(number) ? number : undefined;
}

/** A number in a pointer is a place in a list or the name of a member, so both are asked for. */
function documentsWith(path: readonly string[], value: unknown): object[] {
  let documents: unknown[] = [value];
  for (const part of path.toReversed()) {
    const mayBeList = /^(?:0|[1-9]\d{0,5})$/.test(part) && documents.length < maxParts;
    documents = documents.flatMap((inner) => [Object.fromEntries([[part, inner]]), ...(mayBeList ? [[inner]] : [])]);
  }
  // A token's claims are an object.
  return documents.filter((document): document is object => !Array.isArray(document));
}

const members = z.record(z.string(), z.unknown());

function readObjectForm(text: string, digest: Digester): readonly ClaimMatch[] | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const read = members.safeParse(value);
  const entries = read.success && !Array.isArray(value) ? Object.entries(read.data) : [];
  if (entries.length === 0 || entries.length > 50) return null;
  return entries.map(([name, member]): ClaimMatch => ({
    contained: [{ [name]: member }, ...(typeof member === 'object' ? [] : [{ [name]: digestOfClaim(digest, pointerOf([name]), member) }])],
    exactly: null,
  }));
}
