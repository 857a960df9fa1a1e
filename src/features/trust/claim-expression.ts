/** The expression in CEL of a claim mapping, and-ed with `when`: what it may name and what it sees of a token. */
import type { Cel, CelOutcome, CelVariables } from '#kernel/cel.ts';
import { isCompiled, rememberCel } from '#kernel/cel.ts';
import { pointerOf } from '#kernel/matcher.ts';

type Claims = Readonly<Record<string, unknown>>;

export interface ClaimExpression {
  readonly source: string;
  /** Null when the text is not taken. */
  readonly cel: Cel | null;
  readonly outcomeFor: (claims: Claims) => CelOutcome;
}

const words: CelVariables = {
  claims: 'map<string, dyn>',
  token: { issuer: 'string', subject: 'string', audience: 'list<string>' },
};

export const compileClaimExpression = rememberCel(words, 2_000);

/** JSON Pointers of the claims it reads, as far as they are written out. */
export function celPointers({ reads }: Cel): string[] {
  const registered: Readonly<Record<string, string>> = { issuer: '/iss', subject: '/sub', audience: '/aud' };
  return reads.flatMap(({ path: [variable, ...names] }) => (variable === 'token' ? (registered[names[0]!] ?? []) : names.length === 0 ? [] : [pointerOf(names)]));
}

/** A text that was once saved and is not taken any more has no value for anybody. */
export function claimExpressionOf(source: string): ClaimExpression {
  const result = compileClaimExpression(source);
  const cel = isCompiled(result) ? result : null;
  return { source, cel, outcomeFor: (claims) => cel?.explain({ claims, token: tokenOf(claims) }).outcome ?? 'no_value' };
}

/** The registered claims by the names people know; `aud` may be one text or a list (RFC 7519 §4.1.3). */
function tokenOf({ iss, sub, aud }: Claims): Claims {
  return { issuer: iss, subject: sub, audience: typeof aud === 'string' ? [aud] : aud };
}

/** Null when it holds. */
export function whyNot(outcome: CelOutcome): string | null {
  switch (outcome) {
    case 'holds':
      return null;
    case 'does_not_hold':
      return 'it is false';
    case 'too_large':
      return 'a value it reads is too large: texts have at most 4096 characters, lists and objects 200 entries';
    case 'too_long':
      return 'it is too much work for these claims';
    default:
      return 'a claim it reads is missing or of another type, or a number does not fit';
  }
}
