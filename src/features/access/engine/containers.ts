/**
 * Which groups name whom as a member: the other direction of `members`, kept up to date group by group. Members that are
 * not there, or that the group does not count for, are in it too; `memberships` leaves them out.
 */
import type { EntryChange } from '#kernel/follower.ts';
import type { Entry } from '#kernel/world.ts';
import type { GroupFacts, Subject } from '../schema.ts';

const none: readonly string[] = [];

export class Containers {
  readonly #groups: Readonly<Record<Subject['type'], Map<string, string[]>>> = { user: new Map(), service_account: new Map(), user_group: new Map() };
  #named = 0;

  get bytes(): number {
    return this.#named * 60 + (this.#groups.user.size + this.#groups.service_account.size + this.#groups.user_group.size) * 100;
  }

  /** Uids of groups, in their order. */
  of(type: string, uid: string): readonly string[] {
    return (type === 'user' || type === 'service_account' || type === 'user_group' ? this.#groups[type].get(uid) : undefined) ?? none;
  }

  changed({ before, after }: EntryChange): void {
    if (before !== undefined) for (const member of membersOf(before)) this.#remove(member, before.uid);
    if (after !== undefined) for (const member of membersOf(after)) this.#add(member, after.uid);
  }

  #add({ type, uid }: Subject, group: string): void {
    const groups = this.#groups[type].get(uid);
    if (groups === undefined) this.#groups[type].set(uid, [group]);
    else {
      const at = placeOf(groups, group);
      if (groups[at] === group) return;
      groups.splice(at, 0, group);
    }
    this.#named += 1;
  }

  #remove({ type, uid }: Subject, group: string): void {
    const groups = this.#groups[type].get(uid);
    const at = groups === undefined ? 0 : placeOf(groups, group);
    if (groups === undefined || groups[at] !== group) return;
    groups.splice(at, 1);
    this.#named -= 1;
    if (groups.length === 0) this.#groups[type].delete(uid);
  }
}

function membersOf(group: Entry): readonly Subject[] {
  return (group.facts as GroupFacts).members;
}

/** Where it stands in a sorted list, or would. */
function placeOf(sorted: readonly string[], uid: string): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (sorted[middle]! < uid) from = middle + 1;
    else to = middle;
  }
  return from;
}
