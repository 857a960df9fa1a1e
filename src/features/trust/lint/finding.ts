/** What the linter finds in documents of trust: a code, a place, and words that say what to do. */
import type { FieldError } from '#kernel/errors.ts';
import type { Draft } from '#kernel/kind.ts';
import type { World } from '#kernel/world.ts';
import type { ClaimExpression } from '#features/trust/claim-expression.ts';
import type { ClaimMappingSpec, IssuerFacts } from '#features/trust/schema.ts';

/** Every code, whether it refuses the save, and what it is about. `docs/claims-in.md` has the same table. */
export const lintCodes = {
  'lint.shared_issuer_preset': { refuses: true, about: 'an issuer that strangers share, registered without the preset that knows who they are' },
  'lint.shared_issuer_unpinned': { refuses: true, about: 'a mapping of a shared issuer that does not say which of its customers it means' },
  'lint.glob_across_tenants': { refuses: true, about: 'a pattern that strangers can make their names fit' },
  'lint.no_condition': { refuses: true, about: 'a mapping without conditions' },
  'lint.never_matches': { refuses: true, about: 'conditions no token can meet' },
  'lint.expression_type': { refuses: true, about: 'an expression that compares a claim with what it never is' },
  'lint.everybody': { refuses: false, about: 'conditions that every token of the issuer meets' },
  'lint.mutable_name': { refuses: false, about: 'a name that is given out again, where there is an id that is not' },
  'lint.sub_only': { refuses: false, about: 'conditions on `sub` alone, whose form changes' },
  'lint.shadowed': { refuses: false, about: 'a mapping that adds nothing to another one' },
  'lint.fork': { refuses: false, about: 'runs of forks get in' },
  'lint.pull_request': { refuses: false, about: 'runs of proposed changes get in' },
  'lint.unknown_claim': { refuses: false, about: 'a claim the preset has not heard of' },
  'lint.unknown_value': { refuses: false, about: 'a value the preset has not heard of' },
  'lint.selects_nothing': { refuses: false, about: 'a list of no values' },
  'lint.issuer_address': { refuses: false, about: 'an issuer that is not where such issuers are' },
  'lint.several_audiences': { refuses: false, about: 'tokens may name several audiences, and the issuer does not say what then' },
} as const;

export type LintCode = keyof typeof lintCodes;

export interface Finding extends FieldError {
  readonly code: LintCode;
}

/** `pointer` starts at the spec. */
export function finding(code: LintCode, pointer: string, message: string, suggestion?: string): Finding {
  return { code, pointer, message, ...(lintCodes[code].refuses ? {} : { severity: 'warning' as const }), ...(suggestion === undefined ? {} : { suggestion }) };
}

/** A mapping as its rules see it. */
export interface MappingLint {
  readonly draft: Pick<Draft<ClaimMappingSpec>, 'scope' | 'identifier' | 'spec' | 'refs'>;
  readonly spec: ClaimMappingSpec;
  readonly issuer: IssuerFacts;
  readonly issuerUid: string;
  /** Compiled, where it is already. */
  readonly expression?: ClaimExpression | null;
  /** Strangers get tokens of the issuer too. */
  readonly shared: boolean;
  readonly after: World;
}

export type MappingRule = (mapping: MappingLint) => readonly Finding[];
