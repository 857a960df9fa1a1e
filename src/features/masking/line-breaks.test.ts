import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LeftOutReturns } from './line-breaks.ts';

test('the start of a match is found across the CRs left out of it, and only those', () => {
  const written = 'ab\r\ncd\r\n\r\nefgh';
  const leftOut = new LeftOutReturns();
  const places: number[] = [];
  for (let at = 0; at < written.length; at += 1) {
    if (written[at] === '\r') leftOut.add(at);
    else places.push(at);
    // No match starts with a line break.
    for (const [index, place] of places.entries()) {
      if (written[at] !== '\r' && written[place] !== '\n') assert.equal(leftOut.startOf(at + 1, places.length - index), place);
    }
  }
});

test('what no match can reach any more is forgotten, and the rest stays right', () => {
  const leftOut = new LeftOutReturns();
  let most = 0;
  // Lines `ab`, CRLF; a partial match always spans the last ten of them.
  for (let line = 0; line < 1000; line += 1) {
    const cr = line * 4 + 2;
    leftOut.add(cr);
    leftOut.keepFor(cr + 1, 30);
    most = Math.max(most, leftOut.remembered);
    if (line >= 10) assert.equal(leftOut.startOf(cr + 2, 30), cr + 2 - 40);
  }
  assert.ok(most <= 22, `${most} are remembered`);
  leftOut.keepFor(5000, 0);
  assert.equal(leftOut.remembered, 0);
  assert.equal(leftOut.startOf(5000, 7), 4993);
});
