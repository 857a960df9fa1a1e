/** Resolves the references of a document against the world the call leaves. */
import type { FieldError } from '#kernel/errors.ts';
import { nearest } from '#kernel/identifier.ts';
import { resolveReference } from '#kernel/reference.ts';
import type { AnyKind } from '#kernel/kind.ts';
import { manifestKind } from '#kernel/kind.ts';
import type { Mark } from '#kernel/marks.ts';
import { visitMarks } from '#kernel/marks.ts';
import { pointerOf } from '#kernel/matcher.ts';
import { accountScope, contains, patternRange } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';

/** Finds built-in resources, which need no prefix. Uid, or undefined. */
export type BuiltIns = (kind: string, identifier: string) => string | undefined;

export interface ResolutionContext {
  /** The world the call leaves. */
  readonly after: World;
  readonly builtIns: BuiltIns;
  /** «Did you mean» names only what the caller may view. */
  readonly mayView: (entry: Entry) => boolean;
  /** What it is false for is as if it were not there; absent = everything is found. */
  readonly mayFind?: (entry: Entry) => boolean;
}

export interface Resolution {
  /** JSON Pointer into the spec → uid. */
  readonly refs: Readonly<Record<string, string>>;
  readonly errors: readonly FieldError[];
}

export function resolveReferences(kind: AnyKind, document: { scope: ScopePath; spec: unknown }, context: ResolutionContext): Resolution {
  const refs: Record<string, string> = {};
  const errors: FieldError[] = [];
  visitMarks(kind.spec, document.spec, ({ mark, value, path, parent }) => {
    if (typeof value !== 'string') return;
    const pointer = pointerOf(path);
    const found =
      mark.scope !== undefined ? scopeRef(mark.scope, { text: value, from: document.scope, after: context.after })
      : mark.ref !== undefined ? resourceRef(kindNamed(mark.ref, parent), value, document.scope, context)
      : null;
    if (found === null) return;
    if ('uid' in found) refs[pointer] = found.uid;
    else errors.push({ pointer: `/spec${pointer}`, ...found });
  });
  return { refs, errors };
}

function kindNamed(ref: Mark['ref'] & {}, parent: unknown): string {
  return typeof ref === 'string' ? ref : String((parent as Record<string, unknown>)[ref.kindFrom]);
}

/** A document says something of its own scope and those below. Of any other it is not even told whether it is there. */
function scopeRef(form: 'path' | 'pattern', { text, from, after }: { readonly text: string; readonly from: ScopePath; readonly after: World }): { uid: string } | { message: string } {
  const scope = form === 'path' ? (text === '' ? accountScope : text) : patternRange(text).scope;
  if (!contains(from, scope)) return { message: `\`${text}\` does not lie at or below \`${from}\`, where this is` };
  const uid = after.scopeUid(scope);
  return uid === undefined ? { message: `the scope \`${scope}\` does not exist` } : { uid };
}

function resourceRef(kind: string, text: string, from: ScopePath, context: ResolutionContext): { uid: string } | { message: string; suggestion?: string } {
  const { after } = context;
  const builtIn = context.builtIns(kind, text);
  if (builtIn !== undefined) return { uid: builtIn };
  const place = isBare(kind) ? (text.includes('.') ? null : { scope: accountScope, identifier: text }) : resolveReference(text, from);
  if (place === null) {
    return { message: isBare(kind) ? `a ${manifestKind(kind)} belongs to the whole account: write \`${text.split('.').at(-1)}\`` : `\`${text}\` cannot be referred to from \`${from}\`` };
  }
  const entry = after.find(kind, place.scope, place.identifier);
  if (entry !== undefined && (context.mayFind?.(entry) ?? true)) return { uid: entry.uid };
  const near = nearest(place.identifier, sameScope(context, kind, place.scope));
  const message = `there is no ${manifestKind(kind)} \`${text}\` (looked in \`${place.scope}\`)`;
  return near === undefined ? { message } : { message: `${message}; did you mean \`${near}\`?`, suggestion: near };
}

/** Users and external kinds are account-wide and always bare. */
function isBare(kind: string): boolean {
  return kind === 'user' || kind === 'resource_type';
}

function* sameScope({ after, mayView }: ResolutionContext, kind: string, scope: ScopePath): Generator<string> {
  let seen = 0;
  for (const entry of after.list(kind, scope)) {
    if (mayView(entry)) yield entry.identifier;
    if (++seen > 5_000) return;
  }
}
