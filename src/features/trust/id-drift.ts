/**
 * Names keep the id they first came with. A mapping that trusts a name counts for nothing when the name comes with another
 * id, until somebody accepts it: names of what was deleted are given to strangers.
 */
import type { Call } from '#platform/call.ts';
import type { Database, Reader, Tx } from '#platform/database/database.ts';
import type { Metrics } from '#platform/metrics.ts';
import { refusal } from '#kernel/errors.ts';
import type { TrustedIssuer } from './account-trust.ts';
import { countPins, findPinnedIds, insertPins, noteDrift } from './id-drift-store.ts';
import type { PinPlace } from './id-drift-store.ts';
import type { Match } from './match.ts';
import type { NamePin } from './name-pins.ts';
import { namePinsOf } from './name-pins.ts';

export interface DriftServices {
  readonly database: Database;
  readonly metrics: Pick<Metrics, 'idDrifts'>;
}

/** What a session still has to write down about names. */
export interface NewPins {
  readonly place: PinPlace;
  readonly pins: readonly (NamePin & { readonly id: string })[];
}

export interface DriftedName {
  readonly claim: string;
  readonly name: string;
  readonly idClaim: string;
  readonly pinned: string;
  readonly came: string | null;
}

/** Of one issuer. Who can have names without end within one's own tenant fills no disk: further names are not pinned. */
const maxPins = 10_000;

interface Found {
  readonly issuer: TrustedIssuer;
  /** Those that may be written. */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly matches: readonly Match[];
}

interface Compared {
  /** Without those that trust a name that has drifted. */
  readonly left: readonly { readonly match: Match; readonly pins: readonly NamePin[] }[];
  readonly drifted: readonly { readonly pin: NamePin; readonly told: DriftedName }[];
  readonly pinned: ReadonlyMap<string, string>;
}

/** Asked only of matches, so signature, audience and tenant hold. Reads and notes nothing. */
async function compareNames(reader: Reader, place: PinPlace, { issuer, claims, matches }: Found): Promise<Compared> {
  const named = matches.map((match) => ({ match, pins: namePinsOf(match, issuer.facts.preset, claims) }));
  const all = new Map(named.flatMap(({ pins }) => pins.map((pin) => [pin.pin, pin])));
  const pinned = all.size === 0 ? new Map<string, string>() : await findPinnedIds(reader, place, [...all.keys()]);
  const drifted = [...all.values()].filter(({ pin, id }) => pinned.has(pin) && pinned.get(pin) !== id);
  const gone = new Set(drifted.map(({ pin }) => pin));
  return {
    left: named.filter(({ pins }) => !pins.some(({ pin }) => gone.has(pin))),
    drifted: drifted.map((pin) => ({ pin, told: { claim: pin.claim, name: pin.name, idClaim: pin.idClaim, pinned: pinned.get(pin.pin)!, came: pin.id } })),
    pinned,
  };
}

/** The matches whose names have the ids they are pinned to, and the names to pin. Throws `trust.id_drift` when nothing is left. */
export async function withoutDrifted(services: DriftServices, call: Pick<Call, 'account' | 'now'>, found: Found): Promise<{ readonly matches: readonly Match[]; readonly pins: NewPins | null; readonly drifted: readonly DriftedName[] }> {
  const { database, metrics } = services;
  const place = { accountId: call.account.id, issuerUid: found.issuer.uid };
  const { left, drifted, pinned } = await compareNames(database.read, place, found);
  for (const { pin: { pin, id } } of drifted) {
    metrics.idDrifts.inc();
    await noteDrift(database.read, place, pin, id, call.now);
  }
  const told = drifted.map((each) => each.told);
  if (left.length === 0) throw refusal('trust.id_drift', { because: becauseOf(told[0]!), evidence: { check: 'id_drift', expected: told[0]!.pinned, actual: told[0]!.came, names: told } });
  const fresh = new Map(left.flatMap(({ pins }) => pins).flatMap((pin) => (pin.id === null || pinned.has(pin.pin) ? [] : [[pin.pin, { ...pin, id: pin.id }]])));
  const isFull = fresh.size > 0 && (await countPins(database.read, place, maxPins)) >= maxPins;
  return { matches: left.map(({ match }) => match), pins: fresh.size === 0 || isFull ? null : { place, pins: [...fresh.values()] }, drifted: told };
}

/** Why these matches would be refused for their names; null when one of them would do. For traces: it is no alarm. */
export async function whyDrifted(reader: Reader, accountId: string, found: Found): Promise<string | null> {
  const { left, drifted } = await compareNames(reader, { accountId, issuerUid: found.issuer.uid }, found);
  return left.length > 0 || drifted.length === 0 ? null : becauseOf(drifted[0]!.told);
}

/** False when a name was pinned in the meantime, perhaps to another id: then all is to be decided anew. */
export async function pinNames(tx: Tx, { place, pins }: NewPins, now: Date): Promise<boolean> {
  return (await insertPins(tx, place, pins, now)) === pins.length;
}

function becauseOf({ claim, name, idClaim, pinned, came }: DriftedName): string {
  const now = came === null ? `comes without \`${idClaim}\`` : `comes with \`${idClaim}\` \`${came}\``;
  return `\`${claim}\` \`${name}\` is pinned to \`${idClaim}\` \`${pinned}\` and ${now}: somebody else may have the name; look, then \`sallyport issuer drift accept\`, or state the id in the claim mapping`;
}
