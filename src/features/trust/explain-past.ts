/**
 * Why an exchange of the past was let in or refused, from what the audit kept of it: claims if the token was verified,
 * never the token. Mappings are compared as they are now; beside them stands what they were then.
 */
import type { ListedEvent } from '#features/audit/feature.ts';
import { findEvent, listEvents } from '#features/audit/feature.ts';
import { refusal } from '#kernel/errors.ts';
import { accountScope } from '#kernel/scope.ts';
import { entryPath } from '#kernel/world.ts';
import type { Call } from '#platform/call.ts';
import type { Database, Reader } from '#platform/database/database.ts';
import type { TrustedIssuer } from './account-trust.ts';
import { mayAskAbout, tokenChecks, upTo } from './explain.ts';
import type { ExplainServices } from './explain.ts';
import { findVersions } from './kept-versions.ts';
import type { IssuerFacts } from './schema.ts';
import type { Step, Trace } from './trace.ts';
import { emptyTrace, mayView, passed, traceOf } from './trace.ts';
import { subjectOf } from './workload.ts';

export type PastExchange = { readonly event: string } | { readonly correlationId: string };

type Services = ExplainServices & { readonly database: Database };
type Claims = Readonly<Record<string, unknown>>;

/** What the row of an exchange says beside its claims. */
interface Detail {
  readonly issuer?: string;
  readonly code?: string;
  readonly check?: string;
  readonly because?: string;
  readonly redacted?: readonly string[];
  readonly confirmation?: unknown;
  readonly direct?: boolean;
  readonly mappings?: readonly { readonly uid: string; readonly version: number; readonly path: string }[];
}

interface Diff {
  readonly evidence?: { readonly expected?: unknown; readonly actual?: unknown };
  readonly mappings?: readonly { readonly mapping: string; readonly uid?: string; readonly version: number; readonly failed: unknown }[];
}

const unknownExchange = { say: 'no exchange is recorded under this id: it never was, it only was counted, or it is not for you to see' };

export async function explainPast(services: Services, call: Call, wanted: PastExchange): Promise<Trace> {
  const row = await findExchange(services.database.read, call, wanted);
  const issuer = row === null ? null : issuerOf(call, row);
  const seesAudit = call.decide({ permission: 'audit.view', target: { kind: 'audit', scope: accountScope, identifier: null, tags: {}, attributes: {} } }).allowed;
  if (row === null || (issuer === null ? !seesAudit : !mayAskAbout(call, issuer))) throw refusal('access.not_found', unknownExchange);
  const explained = issuer === null ? withoutIssuer(row) : await explainRow(services, call, { row, issuer, seesAudit });
  const accepted = row.event.outcome === 'success';
  const causes = accepted ? [] : causesOf(row, explained);
  const seesMapping = (uid: string | undefined): boolean => seesAudit || (uid !== undefined && mayView(call, uid));
  return { ...explained, accepted, causes: [...causes], cause: causes[0] ?? null, event: await eventOf(services.database.read, row, seesMapping) };
}

/** What mappings say is of now; what else stood in the way was then. */
function causesOf(row: ListedEvent, { accepted, causes, checks }: Trace): readonly string[] {
  const { code } = (row.event.detail ?? {}) as Detail;
  const isOfMappings = code === undefined || code === 'trust.no_mapping' || checks.some(({ outcome }) => outcome === 'failed');
  if (!isOfMappings) return [then(row)];
  return accepted ? [`${then(row)}; with the mappings of now it would be let in`] : causes;
}

/** The exchange itself, or the one a session began with that did something. */
async function findExchange(reader: Reader, call: Call, wanted: PastExchange): Promise<ListedEvent | null> {
  const everywhere = { scope: accountScope, below: true };
  if ('correlationId' in wanted) {
    const rows = await listEvents(reader, call.account.id, { ...everywhere, requestId: wanted.correlationId }, { limit: 20, before: null });
    const row = rows.find(isExchange) ?? rows.find(({ event }) => event.sessionId !== null);
    return row === undefined ? null : exchangeOf(reader, call, row);
  }
  const row = await findEvent(reader, call.account.id, wanted.event);
  return row === null ? null : exchangeOf(reader, call, row);
}

async function exchangeOf(reader: Reader, call: Call, row: ListedEvent): Promise<ListedEvent | null> {
  if (isExchange(row) || row.event.sessionId === null) return isExchange(row) ? row : null;
  const filter = { scope: accountScope, below: true, session: row.event.sessionId, action: 'session.create' };
  return (await listEvents(reader, call.account.id, filter, { limit: 1, before: null }))[0] ?? null;
}

function isExchange({ event }: ListedEvent): boolean {
  return event.action === 'session.create' || event.action === 'session.refused';
}

function issuerOf(call: Call, { event }: ListedEvent): TrustedIssuer | null {
  const uid = event.resourceKind === 'trusted_issuer' ? event.resourceUid : (event.detail as Detail | null)?.issuer;
  const entry = uid === undefined || uid === null ? undefined : call.world.get(uid);
  return entry?.kind === 'trusted_issuer' ? { uid: entry.uid, path: entryPath(entry), facts: entry.facts as IssuerFacts } : null;
}

function withoutIssuer(row: ListedEvent): Trace {
  const because = row.event.outcome === 'success' ? 'the issuer it was let in by is gone' : `the issuer is gone; then: ${then(row)}`;
  return emptyTrace([{ check: 'registered', outcome: 'failed', because }], row.personal.claims?.value ?? null);
}

async function explainRow(services: Services, call: Call, { row, issuer, seesAudit }: { row: ListedEvent; issuer: TrustedIssuer; seesAudit: boolean }): Promise<Trace> {
  const { redacted = [], confirmation, direct } = (row.event.detail ?? {}) as Detail;
  const claims = row.personal.claims?.value as Claims | undefined;
  const checks = [passed('read'), passed('registered'), ...checksOf(row)];
  if (claims === undefined) return { ...emptyTrace(checks), issuer: issuer.path };
  const digest = await services.keyring.digester(call.account.id);
  return traceOf(call, { issuer, subject: subjectOf(issuer.facts, claims), checks, claims: { claims, redacted, digest }, shown: claims, seesClaims: seesAudit, use: { atMs: row.event.at.getTime(), isBound: confirmation !== undefined, isDirect: direct === true } });
}

/** Which checks it had passed follows from the one that failed; what they looked at was not kept. */
function checksOf({ event, personal }: ListedEvent): Step[] {
  const { check, code, because } = (event.detail ?? {}) as Detail;
  const { evidence = {} } = (personal.diff?.value ?? {}) as Diff;
  const all = ['keys', ...tokenChecks];
  if (event.outcome === 'success') return all.map(passed);
  const failed: Step = {
    check: check ?? 'keys', outcome: 'failed', because: because ?? 'it was not recorded',
    ...(evidence.expected === undefined ? {} : { expected: evidence.expected }), ...(evidence.actual === undefined ? {} : { actual: evidence.actual }),
  };
  if (check !== undefined && !all.includes(check)) return [...all.map(passed), failed];
  if (check !== undefined || code === 'trust.keys_unavailable') return upTo(failed.check, () => failed);
  return all.map((each): Step => (personal.claims === undefined ? { check: each, outcome: 'not_kept' } : passed(each)));
}

function then({ event }: ListedEvent): string {
  const { because, code } = (event.detail ?? {}) as Detail;
  return because ?? code ?? 'refused';
}

async function eventOf(reader: Reader, { event, personal }: ListedEvent, seesMapping: (uid: string | undefined) => boolean): Promise<NonNullable<Trace['event']>> {
  const met = ((event.detail ?? {}) as Detail).mappings?.filter(({ uid }) => seesMapping(uid)) ?? [];
  const missed = ((personal.diff?.value ?? {}) as Diff).mappings?.filter(({ uid }) => seesMapping(uid)) ?? [];
  const versions = await findVersions(reader, event.accountId, met);
  return {
    id: event.id, at: event.at.toISOString(), outcome: event.outcome, correlationId: event.requestId,
    mappings: [
      ...met.map(({ uid, path, version }) => ({ mapping: path, version, matched: true, document: versions.get(`${uid} ${version}`) ?? null })),
      ...missed.map(({ mapping, version, failed }) => ({ mapping, version, matched: false, failed })),
    ],
  };
}
