/** Faults of written selectors, wherever they stand: resource groups, mapping grants. */
import type { Selector } from '#kernel/caller.ts';
import { faultText, isCompiled } from '#kernel/cel.ts';
import type { FieldError } from '#kernel/errors.ts';
import { isIdentifier, nearest } from '#kernel/identifier.ts';
import type { Kinds, Noun } from '#kernel/kind.ts';
import { pointerOf } from '#kernel/matcher.ts';
import { compileFor } from './expressions.ts';

const principalWords = ['email', 'identifier', 'path', 'type'];

/** `at` is the JSON Pointer of the list. */
export function selectorFaults(selectors: readonly Selector[], kinds: Kinds, at: string): FieldError[] {
  return selectors.flatMap((selector, i) => {
    if (!kinds.nouns.has(selector.type)) return [unknown(`${at}/${i}/type`, selector.type, 'kind', kinds.nouns.keys())];
    const faults = [nameFaults, conditionFaults, expressionFaults];
    return faults.flatMap((each) => each(selector, kinds, `${at}/${i}`));
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
  const { external, attributes } = wordsOf(selector.type, kinds);
  return Object.entries(selector.where ?? {}).flatMap(([key, spec]): FieldError[] => {
    const named = 'equalsPrincipal' in spec ? principalFaults(spec.equalsPrincipal, external !== undefined, `${at}/where${pointerOf([key])}/equalsPrincipal`) : [];
    if (named.length > 0) return named;
    if (/^tags\../.test(key) || Object.hasOwn(attributes, key)) return [];
    if (key.startsWith('principal.')) return principalFaults(key.slice('principal.'.length), external !== undefined, `${at}/where${pointerOf([key])}`);
    if (key.startsWith('action.') && external !== undefined) return [];
    return [unknown(`${at}/where${pointerOf([key])}`, key, `attribute of \`${selector.type}\` nor \`tags.<key>\``, Object.keys(attributes))];
  });
}

/** An attribute that no resource of the kind has would make the expression say less than its author thinks. */
function expressionFaults({ type, condition }: Selector, kinds: Kinds, at: string): FieldError[] {
  if (condition === undefined) return [];
  const pointer = `${at}/condition`;
  const { external, attributes } = wordsOf(type, kinds);
  const result = compileFor(external !== undefined, condition);
  if (!isCompiled(result)) return result.faults.map((fault) => ({ pointer, message: faultText(fault) }));
  return result.reads.flatMap(({ path: [variable, field, name], line, column }): FieldError[] => {
    if (variable !== 'resource' || field !== 'attributes' || name === undefined || Object.hasOwn(attributes, name)) return [];
    const suggestion = nearest(name, Object.keys(attributes));
    return [{ pointer, message: faultText({ line, column, message: `\`${name}\` is no attribute of \`${type}\``, ...(suggestion === undefined ? {} : { suggestion }) }) }];
  });
}

function wordsOf(type: string, kinds: Kinds): { readonly external: Noun['external']; readonly attributes: object } {
  const external = kinds.nouns.get(type)?.external;
  return { external, attributes: kinds.kinds.get(type)?.attributes ?? external ?? {} };
}

/** What the account knows of a principal; an application may say more of it where its own kinds are asked about. */
function principalFaults(name: string, isExternal: boolean, pointer: string): FieldError[] {
  if (isExternal || principalWords.includes(name) || /^tags\../.test(name)) return [];
  return [unknown(pointer, name, 'word for a principal', principalWords)];
}

function unknown(pointer: string, word: string, what: string, known: Iterable<string>): FieldError {
  const suggestion = nearest(word, known);
  return { pointer, message: `\`${word}\` is no ${what}`, ...(suggestion === undefined ? {} : { suggestion }) };
}
