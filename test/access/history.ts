/** One random account as it changes: its documents for the naive evaluator, and the product's world beside them. */
import type { WorkloadEvidence } from '#kernel/caller.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { Entry, WorldChange } from '#kernel/world.ts';
import { World } from '#kernel/world.ts';
import { askerOf, entriesOf, evidenceOf } from './engine-world.ts';
import type { NaiveAsker, NaiveSession, NaiveWorld } from './naive-evaluator.ts';
import { matchingMappings } from './naive-evaluator.ts';
import { findDocument, remove, save } from './naive-documents.ts';
import type { Stored } from './naive-documents.ts';
import type { RandomQuestion } from './random-question.ts';
import { claimSets, firstWorld, keyOf, randomChange } from './random-world.ts';
import type { Random } from './random.ts';

export const accountId = 'account-of-chance';

export interface Session {
  readonly naive: NaiveSession;
  readonly evidence: WorkloadEvidence;
}

export class History {
  readonly kinds: Kinds;
  readonly random: Random;
  /** Only ever changed by `apply`. */
  readonly world: World = new World(accountId, 1);
  readonly sessions: Session[] = [];
  documents: readonly Stored[] = [];
  readonly #entries = new Map<string, Entry>();
  readonly #retired = new Set<string>();
  #uids = 0;

  /** `prepare` gets the world while it is empty. */
  constructor(kinds: Kinds, random: Random, prepare: (world: World) => void = () => undefined) {
    this.kinds = kinds;
    this.random = random;
    prepare(this.world);
    const documents = firstWorld(random);
    this.documents = save([], documents, () => this.#newUid());
    this.commit(this.#kept(entriesOf(this.world, kinds, documents, (document) => this.#uidOf(document)).map((put) => ({ put }))));
    this.openSessions();
  }

  get naive(): NaiveWorld {
    return { accountId, documents: this.documents, kinds: this.kinds };
  }

  /** Some changes, in the documents and entries already; the world follows by `commit`. */
  change(times: number): WorldChange[] {
    const changes: WorldChange[] = [];
    for (let i = 0; i < times; i++) {
      const next = randomChange(this.random, this.documents, this.#retired);
      if (next === null) continue;
      if ('put' in next) {
        this.documents = save(this.documents, [next.put], () => this.#newUid());
        const entries = entriesOf(this.world.overlay(changes), this.kinds, [next.put], (document) => this.#uidOf(document));
        changes.push(...entries.map((put) => ({ put })));
        continue;
      }
      const left = remove(this.documents, next.remove);
      for (const { document, uid } of this.documents.filter((stored) => !left.includes(stored))) {
        changes.push({ remove: uid });
        if (this.kinds.byManifest(document.kind)!.retires === true) this.#retired.add(keyOf(document));
      }
      this.documents = left;
    }
    return this.#kept(changes);
  }

  commit(changes: readonly WorldChange[]): void {
    this.world.apply(changes, this.world.revision + 1);
  }

  /** Every kind of session that can be opened now, beside those opened earlier. */
  openSessions(): void {
    for (const { uid } of this.documents.filter(({ document }) => document.kind === 'TrustedIssuer')) {
      for (const claims of claimSets) {
        if (!this.random.chance(0.5)) continue;
        const said = { issuerUid: uid, issuer: 'https://issuer.example', subject: 'core', claims };
        const recorded = matchingMappings(this.naive, said);
        if (recorded.length > 0) this.sessions.push({ naive: { ...said, recorded }, evidence: evidenceOf(this.world, said) });
      }
    }
    this.sessions.splice(0, this.sessions.length - 8);
  }

  /** What every world must have. */
  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries;
  }

  /** What a node that starts now would load, its rows in any order. */
  loadedFresh(): World {
    const rows = [...this.#entries.values()].map((entry) => ({ entry, at: this.random.next() })).toSorted((a, b) => a.at - b.at);
    return new World(accountId, this.world.revision, rows.map(({ entry }) => entry));
  }

  askers({ who, bounds }: RandomQuestion): { naive: NaiveAsker; engine: ReturnType<typeof askerOf> } {
    const session = who.session === null ? undefined : this.sessions[who.session];
    const { accountId: asked, type, uid } = who;
    return {
      naive: { accountId: asked, type, uid, bounds, ...(session === undefined ? {} : { session: session.naive }) },
      engine: askerOf(who, bounds, session?.evidence),
    };
  }

  #kept(changes: WorldChange[]): WorldChange[] {
    for (const change of changes) {
      if ('put' in change) this.#entries.set(change.put.uid, change.put);
      else this.#entries.delete(change.remove);
    }
    return changes;
  }

  #uidOf({ kind, scope, identifier }: { readonly kind: string; readonly scope?: string | undefined; readonly identifier: string }): string {
    return findDocument(this.documents, kind, scope, identifier)!.uid;
  }

  /** As the product makes them, and now and then a word, which the engine must hold as well. */
  #newUid(): string {
    const number = (++this.#uids).toString(16).padStart(4, '0');
    const chance = this.random.whole(0x1_0000).toString(16).padStart(4, '0');
    return this.random.chance(0.1) ? `uid-${number}` : `01900000-${number}-7${chance.slice(1)}-8000-0000${chance}${number}`;
  }
}
