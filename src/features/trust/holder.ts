/** Sessions that are bound: who brings one must hold the key (RFC 9449) or the client certificate (RFC 8705) it was made with. */
import type { Possession } from '#kernel/manifest.ts';
import type { Refusal } from '#kernel/errors.ts';
import { refusal } from '#kernel/errors.ts';
import type { Reader } from '#platform/database/database.ts';
import type { Database } from '#platform/database/database.ts';
import type { ProofOfRequest, Proofs } from './dpop.ts';
import { BadProof, proofAlgorithms } from './dpop.ts';
import type { Confirmation } from './store.ts';
import { useNow } from './used-once.ts';

export interface HolderServices {
  readonly database: Database;
  readonly proofs: Proofs;
}

interface Request {
  readonly accountId: string;
  readonly possession: Possession;
  readonly now: Date;
}

/** What a new session is bound to; a proof has still to be used with `spendProof`. */
export interface Binding {
  readonly confirmation: Confirmation | null;
  readonly proof: ProofOfRequest | null;
}

/** At the token endpoint: a proof binds the session to its key, else a client certificate does. */
export async function bindingOf({ proofs }: HolderServices, request: Request): Promise<Binding> {
  const { dpop, certificate } = request.possession;
  if (dpop === null) return { confirmation: certificate === null ? null : { 'x5t#S256': certificate }, proof: null };
  const proof = await proofs.verify({ ...request, token: null }).catch(async (error: unknown) => {
    throw error instanceof BadProof ? refusal(error.needsNonce ? 'oauth.use_dpop_nonce' : 'oauth.invalid_dpop_proof', { errors: [{ pointer: '/DPoP', message: error.message }], headers: await nonceHeader(proofs, request) }) : error;
  });
  return { confirmation: { jkt: proof.jkt }, proof };
}

/** In the transaction of the exchange, so that one that is decided anew does not meet itself. */
export async function spendProof(writer: Reader, { once, keepUntil }: ProofOfRequest): Promise<void> {
  if ((await useNow(writer, once, keepUntil)) === 0) throw refusal('oauth.invalid_dpop_proof', { errors: [{ pointer: '/DPoP', message: 'the proof was used before' }] });
}

/** Throws when the sender of a session token is not its holder. */
export async function checkHolder(services: HolderServices, confirmation: Confirmation | null, request: Request & { readonly token: string }): Promise<void> {
  const { possession } = request;
  if (confirmation === null) {
    // RFC 9449 §7.2: what is not bound must not look as if it were.
    if (possession.scheme === 'DPoP') throw challenge('invalid_token', 'the session is not bound to a key');
    return;
  }
  if ('x5t#S256' in confirmation) {
    if (possession.scheme !== 'Bearer' || possession.certificate !== confirmation['x5t#S256']) throw refusal('credential.invalid', { because: 'the session is bound to another client certificate' });
    return;
  }
  if (possession.scheme !== 'DPoP') throw challenge('invalid_token', 'the session is bound to a key and was sent as a Bearer');
  await checkProof(services, confirmation.jkt, request);
}

async function checkProof({ database, proofs }: HolderServices, jkt: string, request: Request & { readonly token: string }): Promise<void> {
  const proof = await proofs.verify(request).catch(async (error: unknown) => {
    if (!(error instanceof BadProof)) throw error;
    throw challenge(error.needsNonce ? 'use_dpop_nonce' : 'invalid_dpop_proof', error.message, await nonceHeader(proofs, request));
  });
  if (proof.jkt !== jkt) throw challenge('invalid_token', 'the proof is of another key');
  if ((await useNow(database.read, proof.once, proof.keepUntil)) === 0) throw challenge('invalid_dpop_proof', 'the proof was used before');
}

/** RFC 9449 §8. */
export async function nonceHeader(proofs: Proofs, { accountId, now }: Pick<Request, 'accountId' | 'now'>): Promise<Readonly<Record<string, string>>> {
  return { 'dpop-nonce': await proofs.nonce(accountId, now) };
}

/** RFC 9449 §7.1, §9. */
function challenge(error: 'invalid_token' | 'invalid_dpop_proof' | 'use_dpop_nonce', because: string, headers: Readonly<Record<string, string>> = {}): Refusal {
  const said = `DPoP error="${error}", algs="${proofAlgorithms.join(' ')}"`;
  const code = error === 'invalid_token' ? 'credential.invalid' : error === 'use_dpop_nonce' ? 'credential.use_dpop_nonce' : 'credential.invalid_proof';
  return refusal(code, { because, ...(error === 'invalid_dpop_proof' ? { say: because } : {}), headers: { ...headers, 'www-authenticate': said } });
}
