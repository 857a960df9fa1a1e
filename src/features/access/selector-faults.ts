/** Faults of written selectors, wherever they stand: resource groups, mapping grants. */
import type { Selector } from '#kernel/caller.ts';
import type { FieldError } from '#kernel/errors.ts';
import { isIdentifier, nearest } from '#kernel/identifier.ts';
import type { Kinds } from '#kernel/kind.ts';
import { pointerOf } from '#kernel/matcher.ts';

/** `at` is the JSON Pointer of the list. */
export function selectorFaults(selectors: readonly Selector[], kinds: Kinds, at: string): FieldError[] {
  return selectors.flatMap((selector, i) => {
    if (!kinds.nouns.has(selector.type)) return [unknown(`${at}/${i}/type`, selector.type, 'kind', kinds.nouns.keys())];
    return [...nameFaults(selector, kinds, `${at}/${i}`), ...conditionFaults(selector, kinds, `${at}/${i}`)];
  });
}

/** Names of external resources are opaque; those of our own kinds are identifiers. */
function nameFaults(selector: Selector, kinds: Kinds, at: string): FieldError[] {
  if (!kinds.kinds.has(selector.type)) return [];
  return (selector.identifiers ?? []).flatMap((name, i): FieldError[] =>
    isIdentifier(name) ? [] : [{ pointer: `${at}/identifiers/${i}`, message: `\`${name}\` is not an identifier; scopes are not part of it` }],
  );
}

function conditionFaults(selector: Selector, kinds: Kinds, at: string): FieldError[] {
  const attributes = kinds.kinds.get(selector.type)?.attributes ?? kinds.nouns.get(selector.type)?.external ?? {};
  return Object.keys(selector.where ?? {}).flatMap((key): FieldError[] => {
    if (/^tags\../.test(key) || Object.hasOwn(attributes, key)) return [];
    return [unknown(`${at}/where${pointerOf([key])}`, key, `attribute of \`${selector.type}\` nor \`tags.<key>\``, Object.keys(attributes))];
  });
}

function unknown(pointer: string, word: string, what: string, known: Iterable<string>): FieldError {
  const suggestion = nearest(word, known);
  return { pointer, message: `\`${word}\` is no ${what}`, ...(suggestion === undefined ? {} : { suggestion }) };
}
