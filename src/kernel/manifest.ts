/** What a feature brings. Features meet only through these slots, which `app.ts` collects. */
import type { AnyKind, Noun } from './kind.ts';
import type { AnyOperation } from './operation.ts';
import type { Caller } from './caller.ts';

/** What a request brings to prove that its sender holds a key (RFC 9449) or a client certificate (RFC 8705). */
export interface Possession {
  /** Of the `Authorization` header; null = there is none that can be accepted. */
  readonly scheme: 'Bearer' | 'DPoP' | null;
  readonly method: string;
  /** Below the public URL, without query. */
  readonly path: string;
  /** The `DPoP` header; null = none, empty = one that cannot be accepted. Nothing of it is verified. */
  readonly dpop: string | null;
  /** SHA-256 of the client certificate a trusted proxy has verified, base64url. */
  readonly certificate: string | null;
}

/** A credential as it is presented. */
export interface Presented {
  readonly accountId: string;
  /** Identifier of the account. */
  readonly account: string;
  readonly token: string;
  readonly possession: Possession;
  readonly address: string;
  readonly requestId: string;
  readonly now: Date;
  /** To be called before anything is looked up for one that was never good here: refuses an address that was refused too often. */
  readonly admitStranger: () => Promise<void>;
}

/** Recognises one form of credential in `Authorization: Bearer …`. At most one recogniser may match. */
export interface Recogniser {
  readonly name: string;
  readonly matches: (token: string) => boolean;
  /** It looks at the scheme itself; others are never asked about what comes with `DPoP`. */
  readonly knowsSchemes?: true;
  /** Null = this form, but not accepted; the caller learns nothing more. */
  readonly authenticate: (request: Presented) => Promise<Caller | null>;
  /** The caller of a credential that was accepted before, as it would be now. Null = not of this form, or not accepted any more. */
  readonly again?: (credential: { readonly accountId: string; readonly kind: string; readonly id: string; readonly now: Date }) => Promise<Caller | null>;
}

/** Work that goes on while the server runs; `run` returns when it has nothing to do. */
export interface BackgroundJob {
  readonly name: string;
  readonly everyMs: number;
  readonly run: (signal: AbortSignal) => Promise<void>;
}

export interface Manifest {
  readonly name: string;
  readonly nouns?: readonly Noun[];
  readonly kinds?: readonly AnyKind[];
  readonly operations?: readonly AnyOperation[];
  readonly recognisers?: readonly Recogniser[];
  readonly jobs?: readonly BackgroundJob[];
}
