/** What worlds promise whoever computes from them: what is kept is right, and what has not changed is kept. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Shelf } from './shelf.ts';
import { EntriesByPlace } from './shelf.ts';
import type { EntryChange } from './follower.ts';
import type { Entry } from './world.ts';
import { World } from './world.ts';

function entry(kind: string, scope: string, identifier: string, uid = `${kind} ${scope} ${identifier}`): Entry {
  return { uid, kind, scope, identifier, name: null, version: 1, tags: {}, attributes: {}, facts: null };
}

const org = entry('organization', '/', 'pay');
const project = entry('project', 'pay', 'check');
const a = entry('thing', 'pay', 'a');
const b = entry('thing', 'pay/check', 'b');

function world(): World {
  return new World('account', 1, [org, project, a, b]);
}

const uids = (entries: Iterable<Entry>): string[] => [...entries].map((one) => one.uid).toSorted();

it('what is derived from some kinds stays until an entry of one of them changes', () => {
  const w = world();
  const key = Symbol('things');
  let made = 0;
  const things = () => w.derive(key, ['thing'], (from) => (made++, uids(from.list('thing'))));
  things();
  w.apply([{ put: entry('other', '/', 'x') }], 2);
  assert.deepEqual([things(), made], [uids([a, b]), 1]);
  w.apply([{ remove: a.uid }], 3);
  assert.deepEqual([things(), made], [[b.uid], 2]);
});

it('an overlay has what its base derived from kinds it does not change, and its own of those it does', () => {
  const w = world();
  const key = Symbol('things');
  const things = (of: World) => of.derive(key, ['thing'], (from) => ({ from }));
  const beside = w.overlay([{ put: entry('other', '/', 'x') }]);
  const over = beside.overlay([{ remove: a.uid }]);
  assert.equal(things(beside), things(w));
  assert.notEqual(things(over), things(w));
  assert.equal(things(over.overlay([])), things(over));
});

it('a follower is told of every change, when the world has it', () => {
  const w = world();
  const told: (readonly [string | undefined, string | undefined, boolean])[] = [];
  w.follow('key', () => ({
    bytes: 0,
    changed: ({ before, after }: EntryChange) => void told.push([before?.uid, after?.uid, w.get(a.uid) !== undefined]),
  }));
  w.apply([{ put: b }, { remove: a.uid }, { remove: 'nobody' }, { put: a }], 2);
  assert.deepEqual(told, [[b.uid, b.uid, true], [a.uid, undefined, false], [undefined, a.uid, true]]);
});

it('an overlay hides, adds and replaces, and changes nothing below it', () => {
  const w = world();
  const c = entry('thing', 'pay', 'c');
  const over = w.overlay([{ remove: a.uid }, { put: c }, { put: { ...b, version: 2 } }]);
  assert.deepEqual(uids(over.list('thing')), uids([b, c]));
  assert.deepEqual(uids(over.list('thing', 'pay')), [c.uid]);
  assert.deepEqual(uids(over.within('pay/check')), [b.uid]);
  assert.deepEqual([over.get(a.uid), over.find('thing', 'pay', 'a'), over.get(b.uid)?.version], [undefined, undefined, 2]);
  assert.deepEqual([...over.changesOf('thing').keys()].toSorted(), uids([a, b, c]));
  assert.deepEqual(uids(w.list('thing')), uids([a, b]));
});

it('another entry may take the place of one that goes, in either order', () => {
  const other = entry('thing', 'pay', 'a', 'other');
  for (const changes of [[{ remove: a.uid }, { put: other }], [{ put: other }, { remove: a.uid }]]) {
    const w = world();
    assert.equal(w.overlay(changes).find('thing', 'pay', 'a')?.uid, 'other');
    w.apply(changes, 2);
    assert.equal(w.find('thing', 'pay', 'a')?.uid, 'other');
  }
});

it('a scope is there as long as its organization or project is', () => {
  const w = world();
  assert.deepEqual(['/', 'pay', 'pay/check', 'check', 'pay/other'].map((scope) => w.hasScope(scope)), [true, true, true, false, false]);
  const over = w.overlay([{ remove: project.uid }, { put: entry('project', 'pay', 'new') }]);
  assert.deepEqual(['pay/check', 'pay/new'].map((scope) => over.hasScope(scope)), [false, true]);
  w.apply([{ remove: project.uid }], 2);
  assert.equal(w.hasScope('pay/check'), false);
});

class MapShelf implements Shelf {
  readonly bytes = 0;
  readonly #entries = new Map<string, Entry>();
  readonly #places = new EntriesByPlace();
  get size(): number {
    return this.#entries.size;
  }
  get(uid: string) {
    return this.#entries.get(uid);
  }
  find(scope: string, identifier: string) {
    return this.#places.find(scope, identifier) ?? undefined;
  }
  list(scope?: string) {
    return this.#places.list(scope);
  }
  scopes() {
    return this.#places.scopes();
  }
  put(one: Entry) {
    this.#entries.set(one.uid, one);
    this.#places.set(one.scope, one.identifier, one);
  }
  remove(uid: string) {
    const one = this.#entries.get(uid);
    if (one !== undefined) this.#places.remove(one);
    this.#entries.delete(uid);
  }
}

it('entries on a shelf are found, listed, changed and overlaid like any other', () => {
  const [w, plain] = [world(), world()];
  const shelf = w.shelf('thing', () => new MapShelf());
  assert.equal(shelf.size, 2);
  const tell = (of: World) => [uids(of.all()), uids(of.list('thing', 'pay')), uids(of.within('pay')), of.find('thing', 'pay', 'a')?.uid, of.get(b.uid)?.version];
  const changes = [{ remove: a.uid }, { put: { ...b, version: 2 } }, { put: entry('thing', 'pay', 'c') }];
  assert.deepEqual(tell(w), tell(plain));
  assert.deepEqual(tell(w.overlay(changes)), tell(plain.overlay(changes)));
  for (const each of [w, plain]) each.apply(changes, 2);
  assert.deepEqual(tell(w), tell(plain));
  assert.equal(w.shelf('thing', () => new MapShelf()), shelf);
});
