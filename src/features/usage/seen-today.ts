/**
 * What was noted already today. Asked at every allowed request, so the answer «seen» costs one hash look-up and allocates
 * nothing. Its size is fixed: where eight uses share a place, a ninth pushes one of them out, which is then noted once more.
 */

/** Of somebody, on a day counted from 1970-01-01. */
export interface Use {
  readonly accountId: string;
  /** Uid of a user, a service account or a claim mapping. */
  readonly subjectUid: string;
  readonly permission: string;
  readonly scope: string;
  day: number;
}

const ways = 8;

export class SeenToday {
  readonly #hashes: Int32Array;
  readonly #uses: (Use | undefined)[];
  readonly #sets: number;
  #next = 0;

  /** For about `size` uses, rounded up to a power of two. */
  constructor(size = 65_536) {
    this.#sets = 2 ** Math.ceil(Math.log2(Math.max(1, size / ways)));
    this.#hashes = new Int32Array(this.#sets * ways);
    this.#uses = new Array<Use | undefined>(this.#sets * ways).fill(undefined);
  }

  get size(): number {
    return this.#uses.length;
  }

  /** Parts one by one, since an object made for every question would be what is to be avoided. */
  has(accountId: string, subjectUid: string, permission: string, scope: string, day: number): boolean {
    const hash = hashOf(subjectUid, permission, scope);
    const first = (hash & (this.#sets - 1)) * ways;
    for (let way = first; way < first + ways; way++) {
      if (this.#hashes[way] !== hash) continue;
      const use = this.#uses[way];
      if (use !== undefined && isOf(use, accountId, subjectUid, permission, scope)) return use.day >= day;
    }
    return false;
  }

  add(added: Use): void {
    const hash = hashOf(added.subjectUid, added.permission, added.scope);
    const first = (hash & (this.#sets - 1)) * ways;
    let place = first + (this.#next = (this.#next + 1) % ways);
    for (let way = first; way < first + ways; way++) {
      const use = this.#uses[way];
      // Its own entry of another day is the best place.
      if (use !== undefined && this.#hashes[way] === hash && isOf(use, added.accountId, added.subjectUid, added.permission, added.scope)) {
        place = way;
        break;
      }
      if (use === undefined || use.day < added.day) place = way;
    }
    this.#hashes[place] = hash;
    this.#uses[place] = added;
  }

  clear(): void {
    this.#uses.fill(undefined);
  }
}

function isOf(use: Use, accountId: string, subjectUid: string, permission: string, scope: string): boolean {
  return use.subjectUid === subjectUid && use.permission === permission && use.scope === scope && use.accountId === accountId;
}

/** FNV-1a. Of a uid its end will do: that part is random. Whoever finds collisions gets writes of its own repeated, no more. */
function hashOf(subjectUid: string, permission: string, scope: string): number {
  let hash = 0x811c9dc5;
  for (let i = Math.max(0, subjectUid.length - 12); i < subjectUid.length; i++) hash = Math.imul(hash ^ subjectUid.charCodeAt(i), 0x01000193);
  for (let i = 0; i < permission.length; i++) hash = Math.imul(hash ^ permission.charCodeAt(i), 0x01000193);
  for (let i = 0; i < scope.length; i++) hash = Math.imul(hash ^ scope.charCodeAt(i), 0x01000193);
  // The low bits choose the place, and FNV mixes into them least.
  return hash ^ (hash >>> 15);
}
