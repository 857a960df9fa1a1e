/** External kinds: Sallyport decides, another system holds the resources. */
import type { FieldError } from '#kernel/errors.ts';
import type { Draft, Kind, Kinds, Noun, ResourceTypeFacts } from '#kernel/kind.ts';
import type { ResourceTypeSpec } from './schema.ts';
import { resourceTypeSpec } from './schema.ts';

/** Its identifier is the kind of permissions and selectors: `todo` → `todo.edit`. */
export function resourceTypeKind(kinds: () => Kinds): Kind<ResourceTypeSpec> {
  return {
    name: 'resource_type',
    levels: ['account'],
    verbs: ['view', 'create', 'edit', 'delete', 'govern'],
    spec: resourceTypeSpec,
    version: 1,
    facts: (draft): ResourceTypeFacts => ({ noun: nounOf(draft) }),
    check: ({ identifier }) => nameFaults(identifier, kinds()),
  };
}

function nounOf({ identifier, spec }: Draft<ResourceTypeSpec>): Noun {
  return { name: identifier, levels: spec.levels, verbs: spec.verbs, external: spec.attributes ?? {} };
}

function nameFaults(identifier: string, kinds: Kinds): FieldError[] {
  return kinds.nouns.has(identifier) ? [{ pointer: '', message: `\`${identifier}\` is a kind of the product; choose another identifier` }] : [];
}
