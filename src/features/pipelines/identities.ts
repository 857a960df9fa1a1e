/**
 * `identities` of a pipeline, a stage or a step: as whom a step goes out, by name. Each goes out by a connector; nothing is
 * minted without one, and what a token says comes from the execution, so the words with which others let a file write
 * subjects and claims are refused by name.
 */
import { z } from 'zod';
import type { FieldError } from '#kernel/errors.ts';
import { ref } from '#kernel/marks.ts';
import { identityForms } from '#platform/delivery.ts';
import type { IdentityForm } from '#platform/delivery.ts';
import { notYet } from './unsupported.ts';
import type { RawIssue } from './words.ts';
import { list, mustBe, oneOf, strict } from './words.ts';

/** Of one place, and of one step with all that its stage and pipeline give it. */
export const maxIdentities = 20;
const maxAudiences = 20;

const nameFault = 'must be the name of an environment variable: a letter or `_`, then at most 63 letters, digits and `_`';
/** It becomes the name of a variable and part of the names of files. */
const identityName = z.string().regex(/^(?!__proto__$)[A-Za-z_][A-Za-z0-9_]{0,63}$/, { error: nameFault });

const audienceFault = 'must be an audience of the connector, written out: printable ASCII without spaces and expressions';
const oneAudience = z.string({ error: audienceFault }).max(512, { error: audienceFault }).regex(/^(?!.*<\+)[\x21-\x7e]+$/, { error: audienceFault });
const instead = 'leave it out: what a token says comes from the execution alone, and its connector says whom it is for';

const identity = strict({
  connector: ref('connector').optional(),
  audience: z.union([oneAudience, list(oneAudience, maxAudiences).min(1, { error: 'must name an audience; without the field it is the connector’s first' })], { error: audienceFault }).optional(),
  as: list(oneOf('form', identityForms), identityForms.length).min(1, { error: 'must name a form; without the field it is what tools of the connector’s type read' }).optional(),
  disabled: z.boolean().optional(),
  ...notYet(['subjectTemplate', 'customClaims', 'tokenMode'], instead),
});
export type IdentityDocument = z.infer<typeof identity>;

export const identities = z
  .record(identityName, identity, { error: (issue: RawIssue) => (issue.code === 'invalid_key' ? nameFault : mustBe(issue, 'a map of identities')) })
  .refine((map) => Object.keys(map).length <= maxIdentities, { error: `must have at most ${maxIdentities} identities` })
  .optional();

type Identities = Readonly<Record<string, IdentityDocument>> | undefined;

/** An identity of the plan. */
export interface PlanIdentity {
  readonly name: string;
  /** As it holds in the pipeline's scope. */
  readonly connector: string;
  /** Null = not said. */
  readonly audiences: readonly string[] | null;
  readonly forms: readonly IdentityForm[] | null;
  readonly pointer: string;
}

/** What a map says and only the whole of it can tell. `pointer`: of the element that has it. */
export function identityFaults(map: Identities, pointer: string): FieldError[] {
  return Object.entries(map ?? {}).flatMap(([name, { connector, disabled, audience }]) => {
    const at = `${pointer}/identities/${name}`;
    if (connector === undefined && disabled !== true) {
      return [{ pointer: `${at}/connector`, message: 'is required: nothing is minted without a connector; write `connector: account.x`, which says whom the token is for' }];
    }
    const twice = Array.isArray(audience) && new Set(audience).size !== audience.length;
    return twice ? [{ pointer: `${at}/audience`, message: 'names an audience twice' }] : [];
  });
}

/** Those of a step: of its own, its stage's and its pipeline's the innermost of each name, less those switched off. */
export function identitiesOf(levels: readonly { readonly identities: Identities; readonly pointer: string }[]): PlanIdentity[] {
  const found = new Map<string, PlanIdentity>();
  for (const { identities: map, pointer } of levels) {
    for (const [name, { connector, audience, as, disabled }] of Object.entries(map ?? {})) {
      found.delete(name);
      if (disabled === true || connector === undefined) continue;
      const audiences = audience === undefined ? null : typeof audience === 'string' ? [audience] : audience;
      found.set(name, { name, connector, audiences, forms: as ?? null, pointer: `${pointer}/identities/${name}` });
    }
  }
  return [...found.values()];
}
