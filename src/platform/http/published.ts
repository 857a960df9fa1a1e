/** What the server publishes about itself: its API description, and the JSON Schemas of manifests for editors. */
import { z } from 'zod';
import { refusal } from '#kernel/errors.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { Reply } from '#kernel/operation.ts';
import { open, operation } from '../call.ts';

export interface Published {
  readonly openApi: () => unknown;
  /** By name, such as `Role`. */
  readonly schemas: () => ReadonlyMap<string, unknown>;
}

const headers = { 'content-type': 'application/json', 'cache-control': 'public, max-age=300' } as const;

/** Each document is built when it is first asked for and kept: the records do not change while the server runs. */
export function publishedOperations(published: Published): AnyOperation[] {
  const openApi = onceMade(() => JSON.stringify(published.openApi()));
  const schemas = onceMade(() => new Map([...published.schemas()].map(([name, schema]) => [name, JSON.stringify(schema)])));
  const common = { method: 'GET' as const, output: null, audit: null, dialect: 'page' as const };

  const api = operation({
    ...common,
    name: 'published.openapi', summary: 'This document', path: '/openapi.json', input: {},
    access: open('the description of the API is the same for everybody'),
    prepare: async () => new Reply(openApi(), { headers }),
  });

  const schema = operation({
    ...common,
    name: 'published.schema', summary: 'JSON Schema of the manifests of one kind, such as `Role`, or of any kind: `Manifest`', path: '/schemas/{kind}.json',
    input: { params: z.strictObject({ kind: z.string().max(128) }) },
    access: open('the schemas of manifests are the same for everybody'),
    prepare: async (_call, { params }) => {
      const text = schemas().get(params.kind);
      if (text === undefined) throw refusal('access.not_found');
      return new Reply(text, { headers: { ...headers, 'content-type': 'application/schema+json' } });
    },
  });

  return [api, schema];
}

function onceMade<T extends object | string>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
