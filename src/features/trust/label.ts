/** Labels of sessions: text with claims in braces, `tfc:{/terraform_workspace_name}`. For people to read, never to decide by. */
import { readPointer } from '#kernel/matcher.ts';

/** Writes the label of a session with these claims. */
export type Label = (claims: Readonly<Record<string, unknown>>) => string;

const maxCharacters = 128;
const part = /\{((?:\/(?:[^/~{}]|~[01])*)+)\}|[^{}]+/gy;

export function isLabel(template: string): boolean {
  return readParts(template) !== null;
}

/** `template` is one `isLabel` accepts. A claim that is missing or no plain value shows as `-`. */
export function compileLabel(template: string): Label {
  const parts = readParts(template) ?? [];
  return (claims) => legible(parts.map((one) => ('pointer' in one ? shown(readPointer(claims, one.pointer)) : one.text)).join(''));
}

/** One line of at most 128 characters, whatever an issuer put into a claim. */
export function legible(text: string): string {
  const clean = text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, ' ').trim().slice(0, maxCharacters);
  return clean === '' ? '-' : clean.toWellFormed();
}

type Part = { readonly text: string } | { readonly pointer: string };

function readParts(template: string): Part[] | null {
  const found = [...template.matchAll(part)];
  const length = found.reduce((sum, [text]) => sum + text.length, 0);
  if (length !== template.length) return null;
  return found.map(([text, pointer]) => (pointer === undefined ? { text } : { pointer }));
}

function shown(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '-';
}
