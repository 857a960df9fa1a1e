/**
 * The leaf of an audit event, format 1. The leaf is SHA-256 over the byte 0x01, then the RFC 8785 canonical JSON of the
 * event with its personal fields replaced by commitments; a commitment is SHA-256 over 0x00, the field's salt and the
 * canonical JSON of its value. Erasing a personal field takes salt and value away and leaves every proof valid.
 * Links: link(0) is 32 zero bytes; link(n) = SHA-256(0x02 ‖ link(n-1) ‖ seq as 8 bytes big-endian ‖ leaf(n)).
 */
import { createHash } from 'node:crypto';
import { canonicalJson } from '#kernel/canonical.ts';

export const leafFormat = 1;
export const zeroLink = Buffer.alloc(32);

export type PersonalField = 'actor' | 'address' | 'claims' | 'diff';
export type Outcome = 'success' | 'refused' | 'failed';

/** An event before it is stored. */
export interface AuditEvent {
  readonly accountId: string;
  readonly id: string;
  readonly at: Date;
  readonly actorType: string | null;
  readonly actorUid: string | null;
  /** Credential kind and id. */
  readonly via: string | null;
  readonly action: string;
  readonly resourceKind: string | null;
  readonly resourceUid: string | null;
  readonly resourcePath: string | null;
  readonly scope: string;
  readonly outcome: Outcome;
  readonly sessionId: string | null;
  readonly requestId: string;
  readonly detail: unknown;
  readonly personal: Readonly<Partial<Record<PersonalField, unknown>>>;
}

export type Commitments = Readonly<Partial<Record<PersonalField, string>>>;
export type Salted = Readonly<Partial<Record<PersonalField, { readonly salt: string; readonly value: unknown }>>>;

export interface SealedEvent {
  readonly event: Omit<AuditEvent, 'personal'>;
  readonly commitments: Commitments;
  readonly personal: Salted;
  readonly leaf: Buffer;
}

export function sealEvent(event: AuditEvent, random: (bytes: number) => Buffer): SealedEvent {
  const commitments: Partial<Record<PersonalField, string>> = {};
  const personal: Partial<Record<PersonalField, { salt: string; value: unknown }>> = {};
  for (const [field, value] of Object.entries(event.personal) as [PersonalField, unknown][]) {
    if (value === undefined || value === null) continue;
    const salt = random(16);
    commitments[field] = commitment(salt, value);
    personal[field] = { salt: salt.toString('hex'), value };
  }
  return { event, commitments, personal, leaf: leafOf(event, commitments) };
}

export function commitment(salt: Uint8Array, value: unknown): string {
  return createHash('sha256').update(Buffer.of(0)).update(salt).update(canonicalJson(value)).digest('hex');
}

export function leafOf(event: Omit<AuditEvent, 'personal'>, commitments: Commitments): Buffer {
  const body = canonicalJson({
    account: event.accountId,
    action: event.action,
    actorType: event.actorType,
    actorUid: event.actorUid,
    at: event.at.toISOString(),
    commitments,
    detail: event.detail ?? null,
    id: event.id,
    outcome: event.outcome,
    requestId: event.requestId,
    resourceKind: event.resourceKind,
    resourcePath: event.resourcePath,
    resourceUid: event.resourceUid,
    scope: event.scope,
    session: event.sessionId,
    via: event.via,
  });
  return createHash('sha256').update(Buffer.of(leafFormat)).update(body).digest();
}

export function linkOf(previous: Uint8Array, seq: number, leaf: Uint8Array): Buffer {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(seq));
  return createHash('sha256').update(Buffer.of(2)).update(previous).update(number).update(leaf).digest();
}

/** What a checkpoint signs. */
export function checkpointText(checkpoint: { accountId: string; seq: number; link: Uint8Array; at: Date }): Buffer {
  return Buffer.from(
    `sallyport audit checkpoint v1\n${checkpoint.accountId}\n${checkpoint.seq}\n${Buffer.from(checkpoint.link).toString('hex')}\n${checkpoint.at.toISOString()}\n`,
  );
}
