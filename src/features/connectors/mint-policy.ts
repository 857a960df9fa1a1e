/** What a connector gives tokens to, besides who may use it and from where: each list that is there must have the step in it. */
import { z } from 'zod';
import type { ExecutionFacts } from '#kernel/execution-facts.ts';
import { isScopePattern, levelOf, parseResourcePath, patternMatches, resourcePath } from '#kernel/scope.ts';

const stageTypes = ['CI', 'Deployment', 'Approval', 'Custom'] as const;

/** `payments/checkout/recover`, or all of a project by `payments/checkout/*`, of an organization by `payments/**`. */
const pathPattern = z.string().max(390).refine(isPathPattern, { error: 'must be the path of one, such as `payments/checkout/recover`, or `payments/checkout/*`, or `payments/**`' });

export const mintPolicy = z.strictObject({
  stageTypes: z.array(z.enum(stageTypes)).max(stageTypes.length).optional(),
  pipelines: z.array(pathPattern).max(500).optional(),
  environments: z.array(pathPattern).max(500).optional().describe('a stage without an environment is in none'),
  environmentTypes: z.array(z.enum(['Production', 'PreProduction'])).max(2).optional(),
});
export type MintPolicy = z.infer<typeof mintPolicy>;

/** What the policy has against the step; null = nothing. */
export function againstPolicy(policy: MintPolicy | undefined, { organization, project, stage, pipeline, environment }: ExecutionFacts): string | null {
  if (policy === undefined) return null;
  const scope = `${organization.identifier}/${project.identifier}`;
  const isListed = (patterns: readonly string[], identifier: string): boolean => patterns.some((pattern) => pathMatches(pattern, scope, identifier));
  if (policy.stageTypes !== undefined && !policy.stageTypes.some((type) => type === stage?.type)) return `it gives tokens to stages of type ${listed(policy.stageTypes)}`;
  if (policy.pipelines !== undefined && !isListed(policy.pipelines, pipeline.identifier)) return 'its policy does not list the pipeline';
  if (policy.environments !== undefined && (environment === null || !isListed(policy.environments, environment.identifier))) return 'its policy does not list the environment';
  if (policy.environmentTypes !== undefined && !policy.environmentTypes.some((type) => type === environment?.type)) return `it gives tokens to environments of type ${listed(policy.environmentTypes)}`;
  return null;
}

function listed(words: readonly string[]): string {
  return words.length === 0 ? 'none' : words.join(', ');
}

function isPathPattern(text: string): boolean {
  if (text.endsWith('**')) return isScopePattern(text);
  const path = parseResourcePath(text.endsWith('/*') ? `${text.slice(0, -1)}x` : text);
  return path !== null && levelOf(path.scope) === 'project';
}

function pathMatches(pattern: string, scope: string, identifier: string): boolean {
  if (pattern.endsWith('**')) return patternMatches(pattern, scope);
  return pattern.endsWith('/*') ? pattern.slice(0, -2) === scope : pattern === resourcePath(scope, identifier);
}
