/** How a resource is shown: manifest fields plus what the server knows. */
import { manifestKind } from '#kernel/kind.ts';
import { accountScope, resourcePath } from '#kernel/scope.ts';
import type { FieldError } from '#kernel/errors.ts';
import type { Entry } from '#kernel/world.ts';
import type { Manifest, ResourceView, SaveWarning, ScopeName, StoredResource } from './schema.ts';

export function manifestOf(resource: StoredResource): Manifest {
  return {
    kind: manifestKind(resource.kind),
    ...(resource.scope === accountScope ? {} : { scope: resource.scope }),
    identifier: resource.identifier,
    ...(resource.name === null ? {} : { name: resource.name }),
    ...(resource.description === null ? {} : { description: resource.description }),
    ...(Object.keys(resource.tags).length === 0 ? {} : { tags: { ...resource.tags } }),
    spec: resource.spec,
  };
}

export function viewOf(resource: StoredResource): ResourceView {
  return {
    ...manifestOf(resource),
    uid: resource.uid,
    path: resourcePath(resource.scope, resource.identifier),
    version: resource.version,
    createdAt: resource.createdAt.toISOString(),
    createdBy: resource.createdBy,
    updatedAt: resource.updatedAt.toISOString(),
    updatedBy: resource.updatedBy,
  };
}

export function warningOf({ document = 0, pointer, code = 'warning', message, suggestion }: FieldError): SaveWarning {
  return { document, pointer, code, message, ...(suggestion === undefined ? {} : { suggestion }) };
}

/** CONTRACTS §4 rule 10: the name, and nothing else. */
export function nameOf({ kind, scope, identifier, name }: Entry): ScopeName {
  return {
    kind: manifestKind(kind),
    ...(scope === accountScope ? {} : { scope }),
    identifier,
    ...(name === null ? {} : { name }),
    path: resourcePath(scope, identifier),
  };
}
