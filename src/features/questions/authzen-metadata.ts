/** Where the decision point of an account is found (AuthZEN §9): with the account in the path, and the first one without. */
import { z } from 'zod';
import { refusal } from '#kernel/errors.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { operation, open } from '#platform/call.ts';

export interface MetadataServices {
  /** URL of this server as callers know it. */
  readonly publicUrl: () => string;
  /** Null when there is no such account. */
  readonly account: (identifier: string) => Promise<unknown>;
}

/** The one a deployment begins with: what a client finds that knows of no accounts. */
const firstAccount = 'default';

const metadata = z.strictObject({
  policy_decision_point: z.string(),
  access_evaluation_endpoint: z.string(),
  access_evaluations_endpoint: z.string(),
  search_subject_endpoint: z.string(),
  search_resource_endpoint: z.string(),
  search_action_endpoint: z.string(),
});

export function metadataOperations(services: MetadataServices): AnyOperation[] {
  const shared = {
    method: 'GET' as const,
    output: metadata,
    access: open('says where an application asks, and nothing else'),
    audit: null,
    dialect: 'authzen' as const,
  };
  const ofAccount = operation({
    ...shared,
    name: 'authzen.metadata',
    summary: 'AuthZEN metadata of an account',
    path: '/.well-known/authzen-configuration/accounts/{name}',
    input: { params: z.strictObject({ name: z.string() }) },
    prepare: async (_call, { params }) => {
      if ((await services.account(params.name)) === null) throw refusal('access.not_found');
      return metadataOf(services.publicUrl(), `/accounts/${params.name}`, params.name);
    },
  });
  const ofFirst = operation({
    ...shared,
    name: 'authzen.first_metadata',
    summary: 'AuthZEN metadata for clients that know of no accounts: of `default`',
    path: '/.well-known/authzen-configuration',
    input: {},
    prepare: async () => metadataOf(services.publicUrl(), '', firstAccount),
  });
  return [ofAccount, ofFirst];
}

function metadataOf(publicUrl: string, path: string, account: string): z.infer<typeof metadata> {
  const at = (rest: string): string => `${publicUrl}/accounts/${account}/access/v1/${rest}`;
  return {
    policy_decision_point: `${publicUrl}${path}`,
    access_evaluation_endpoint: at('evaluation'),
    access_evaluations_endpoint: at('evaluations'),
    search_subject_endpoint: at('search/subject'),
    search_resource_endpoint: at('search/resource'),
    search_action_endpoint: at('search/action'),
  };
}
