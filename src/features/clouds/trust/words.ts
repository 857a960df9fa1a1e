/** What the other side is to be told so that it trusts the tokens of one stage, and whether such a token would match it. */
import type { ConnectorSpec } from '#features/connectors/schema.ts';

/** The claims of a stage as a token will say them; null also where only a run knows. */
export type PreviewedClaims = Readonly<Record<string, unknown>> & { readonly iss: string; readonly sub: string; readonly aud: string };

export interface TrustWish<S extends ConnectorSpec = ConnectorSpec> {
  readonly spec: S;
  readonly claims: PreviewedClaims;
  /** Path of the connector, for names and descriptions. */
  readonly connector: string;
}

/** One text to copy. */
export interface TrustPart {
  readonly title: string;
  readonly format: 'json' | 'yaml' | 'sh';
  readonly text: string;
}

/** One thing the other side looks at, and whether the previewed token has it. */
export interface TrustCheck {
  readonly what: string;
  readonly wants: string;
  readonly has: string;
  readonly matches: boolean;
}

export interface Trust {
  readonly parts: readonly TrustPart[];
  /** Whether a token with these claims is taken by what is configured. */
  readonly check: (token: PreviewedClaims) => readonly TrustCheck[];
}

export type TrustWriter<S extends ConnectorSpec> = (wish: TrustWish<S>) => Trust;

/** Claims a stage is known by, of those that are not null: uids, which are given to nothing else. */
const pinNames = ['project_uid', 'pipeline_uid', 'environment_uid'] as const;

export function pinsOf(claims: PreviewedClaims): Readonly<Record<string, string>> {
  return Object.fromEntries(pinNames.flatMap((name) => (typeof claims[name] === 'string' ? [[name, claims[name]]] : [])));
}

export function sameText(what: string, wants: string, has: unknown): TrustCheck {
  return { what, wants, has: String(has), matches: wants === has };
}

export function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** For a POSIX shell, whatever is in it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
