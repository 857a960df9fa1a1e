/** What the tools of a connector's type read: variables and files. One entry for each type; pure. */
import type { ConnectorSpec } from '#features/connectors/schema.ts';
import type { IdentityForm } from '#platform/delivery.ts';

export interface Wish<S> {
  readonly spec: S;
  /** Of the identity. */
  readonly name: string;
  /** What tokens are made for, by the name of the variable of each. */
  readonly audiences: ReadonlyMap<string, string>;
  readonly forms: ReadonlySet<IdentityForm>;
  /** Name of the session where the cloud's own audit shows one. */
  readonly session: string;
  /** What the operator put in the place of an official endpoint; null = nothing. */
  readonly endpoint: (name: EndpointWord) => string | null;
}

export type EndpointWord = 'gcp_sts' | 'gcp_iam_credentials' | 'aws_sts' | 'azure_authority';

export interface NamedFile {
  readonly name: string;
  readonly content: string;
}

export interface Token {
  readonly text: string;
  readonly expiresAtMs: number;
}

/** A traded credential: a text, or several by name. */
export type Credential = string | Readonly<Record<string, string>>;

export interface ToolWords<S extends ConnectorSpec> {
  /** Given when the pipeline does not say which. */
  readonly forms: readonly IdentityForm[];
  /** The function of expressions whose value `variable` is made of; null = the token itself. */
  readonly trade: string | null;
  /** Of the form `variable`, when something is traded. */
  readonly traded?: (credential: Credential, wish: Wish<S>) => Readonly<Record<string, string>>;
  /** Of the form `file` (`isFile`), or of `endpoint` alone. */
  readonly environment: (wish: Wish<S>, isFile: boolean) => Readonly<Record<string, string>>;
  /** Files that stay as they are. */
  readonly fixed?: (wish: Wish<S>, isFile: boolean) => readonly NamedFile[];
  /** Files made of a token, besides the one that is the token. */
  readonly ofToken?: (token: Token, wish: Wish<S>) => readonly NamedFile[];
}

export function tokenFile(variable: string): string {
  return `${variable}.jwt`;
}
