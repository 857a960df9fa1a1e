import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileMaskSet } from '#features/masking/mask-set.ts';
import { runs } from '#test/mode.ts';
import { MaskedStream } from './masked-stream.ts';

/** Letters so few that secrets overlap, begin in each other and nearly match. */
const text = (length: { minLength: number; maxLength: number }) => fc.string({ unit: fc.constantFrom('a', 'b', 'c'), ...length });

test('a secret is masked wherever it ends after it joined, if none of it had been sent', () => {
  const joining = fc.record({
    first: text({ minLength: 6, maxLength: 8 }),
    later: fc.array(text({ minLength: 6, maxLength: 8 }), { minLength: 1, maxLength: 3 }),
    pieces: fc.array(text({ minLength: 0, maxLength: 12 }), { minLength: 4, maxLength: 20 }),
    sendEvery: fc.integer({ min: 1, max: 5 }),
  });
  fc.assert(fc.property(joining, ({ first, later, pieces, sendEvery }) => {
    let set = compileMaskSet([{ name: 'first', value: first }]);
    const stream = new MaskedStream(set);
    let sent = '';
    let unsent = '';
    const known = [first];
    pieces.forEach((piece, index) => {
      unsent += Buffer.from(stream.write(Buffer.from(piece))).toString();
      const joins = later[Math.floor(index / 4)];
      if (index % 4 === 3 && joins !== undefined && !known.includes(joins)) {
        known.push(joins);
        set = compileMaskSet([{ name: `later ${index}`, value: joins }], { after: set });
        unsent = Buffer.from(stream.renew(set, Buffer.from(unsent))).toString();
        for (const secret of known) assert(!unsent.includes(secret), `\`${secret}\` is in what is masked anew: \`${unsent}\``);
      }
      // Never so much of the end that a secret that joins next could have begun in it.
      if (index % sendEvery === 0 && unsent.length > 16) {
        sent += unsent.slice(0, -16);
        unsent = unsent.slice(-16);
      }
    });
    unsent += Buffer.from(stream.end()).toString();
    for (const secret of [first, ...known]) assert(!unsent.includes(secret), `\`${secret}\` is in the end \`${unsent}\` after \`${sent}\``);
    assert(!`${sent}${unsent}`.includes(first), 'the secret that was there from the beginning is in the log');
  }), { numRuns: runs(300, 20_000) });
});

test('without secrets every byte comes out as it went in', () => {
  const stream = new MaskedStream(compileMaskSet([]));
  const parts = [stream.write(Buffer.from('one ')), stream.renew(compileMaskSet([{ name: 'n', value: 'not there' }], { after: compileMaskSet([]) }), Buffer.from('')), stream.write(Buffer.from('two')), stream.end()];
  assert.equal(Buffer.concat(parts).toString(), 'one two');
});

test('a secret that joins when everything has been sent is masked from then on, in pieces too', () => {
  const none = compileMaskSet([]);
  const stream = new MaskedStream(none);
  stream.write(Buffer.from('sent'));
  assert.equal(stream.renew(compileMaskSet([{ name: 'n', value: 'joined later' }], { after: none }), Buffer.alloc(0)).length, 0);
  const rest = [stream.write(Buffer.from('it is joined ')), stream.write(Buffer.from('later!')), stream.end()];
  assert.equal(Buffer.concat(rest).toString(), 'it is ***!');
});

test('what is held back while secrets join twice comes out in its place', () => {
  const none = compileMaskSet([]);
  const one = compileMaskSet([{ name: 'one', value: 'begins here and goes on' }], { after: none });
  const two = compileMaskSet([{ name: 'two', value: 'something else' }], { after: one });
  const stream = new MaskedStream(none);
  const first = stream.renew(one, Buffer.from('it begins here'));
  const second = stream.renew(two, first);
  const rest = [second, stream.write(Buffer.from(' and ends')), stream.end()];
  assert.equal(Buffer.concat(rest).toString(), 'it begins here and ends');
});
