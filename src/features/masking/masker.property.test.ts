import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { runs } from '#test/mode.ts';
import { compileMaskSet } from './mask-set.ts';
import { Masker, maskWhole } from './masker.ts';

/** The definition of masking, slow and plain: every place of every needle is marked, marked stretches become `***`. */
function maskPlainly(values: readonly string[], text: string): string {
  return renderMarks(text, marksOf(values, text));
}

function marksOf(values: readonly string[], text: string): boolean[] {
  const places = Array.from(text, (_, at) => at).filter((at) => text[at] !== '\r' || text[at + 1] !== '\n');
  const searched = places.map((at) => text[at]).join('');
  const marks = Array.from(text, () => false);
  for (const needle of values.flatMap(needlesPlainly)) {
    for (let at = searched.indexOf(needle); at !== -1; at = searched.indexOf(needle, at + 1)) {
      marks.fill(true, places[at], places[at + needle.length - 1]! + 1);
    }
  }
  return marks;
}

function renderMarks(text: string, marks: readonly boolean[]): string {
  return Array.from(text, (letter, at) => (!marks[at] ? letter : marks[at - 1] ? '' : '***')).join('');
}

function needlesPlainly(value: string): string[] {
  const whole = trim(value.replaceAll('\r\n', '\n'));
  const lines = whole.split('\n').map(trim).filter((line) => line.length >= 8);
  return whole.length >= 6 ? [whole, ...lines] : [];
}

function trim(text: string): string {
  return text.replace(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, '');
}

function maskInChunks(values: readonly string[], text: string, cuts: readonly number[]): { out: string; mostHeld: number; steps: number } {
  const masker = new Masker(compileMaskSet(values.map((value, index) => ({ name: `s${index}`, value }))));
  const bytes = Buffer.from(text, 'latin1');
  let out = '';
  let mostHeld = 0;
  let from = 0;
  for (const cut of [...cuts.map((one) => one % (text.length + 1)).sort((a, b) => a - b), text.length]) {
    out += Buffer.from(masker.write(bytes.subarray(from, cut))).toString('latin1');
    mostHeld = Math.max(mostHeld, masker.heldBytes);
    from = cut;
  }
  out += Buffer.from(masker.end()).toString('latin1');
  return { out, mostHeld, steps: masker.steps };
}

/** Few letters, so that secrets overlap, nest and repeat; line breaks of both kinds. */
const narrow = fc.string({ unit: fc.constantFrom('a', 'b', '\n', '\r\n', '\r', ' '), minLength: 6, maxLength: 24 });
const long = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'a\n', 'bb\r\n'), minLength: 10, maxLength: 40 });
const wide = fc.string({ unit: 'binary-ascii', minLength: 6, maxLength: 40 }).filter((value) => !value.includes('*'));

interface World { values: string[]; text: string; cuts: number[] }

function world(value: fc.Arbitrary<string>, filler: fc.Arbitrary<string>): fc.Arbitrary<World> {
  return fc.array(value, { minLength: 1, maxLength: 8 }).chain((values) => {
    const piece = fc.oneof(
      filler,
      fc.constantFrom(...values),
      fc.constantFrom(...values).map((one) => one.replaceAll('\n', '\r\n')),
      fc.tuple(fc.constantFrom(...values), fc.nat(40), fc.nat(40)).map(([one, from, to]) => one.slice(from, to)),
    );
    return fc.record({
      values: fc.constant(values),
      text: fc.array(piece, { maxLength: 24 }).map((pieces) => pieces.join('')),
      cuts: fc.array(fc.nat(2000), { maxLength: 12 }),
    });
  });
}

const worlds = {
  'two letters and line breaks': world(narrow, narrow),
  'longer secrets of three letters': world(long, long),
  'ASCII': world(wide, fc.string({ unit: 'binary-ascii', maxLength: 60 }).filter((text) => !text.includes('*'))),
};

for (const [name, worldOf] of Object.entries(worlds)) {
  test(`the output is what the definition says, whatever the secrets and the chunking (${name})`, () => {
    fc.assert(fc.property(worldOf, ({ values, text, cuts }) => {
      assert.equal(maskInChunks(values, text, cuts).out, maskPlainly(values, text));
    }), { numRuns: runs(600, 30_000) });
  });
}

test('the output of any chunking is that of the whole, and holds no value and no line of one', () => {
  fc.assert(fc.property(worlds.ASCII, ({ values, text, cuts }) => {
    const { out } = maskInChunks(values, text, cuts);
    const set = compileMaskSet(values.map((value, index) => ({ name: `s${index}`, value })));
    assert.equal(Buffer.from(maskWhole(set, Buffer.from(text, 'latin1'))).toString('latin1'), out);
    const searched = out.replaceAll('\r\n', '\n');
    for (const needle of values.flatMap(needlesPlainly)) assert.ok(!searched.includes(needle), `${JSON.stringify(needle)} is left`);
  }), { numRuns: runs(400, 20_000) });
});

test('no more is held than the longest needle with its line breaks as CRLF', () => {
  fc.assert(fc.property(worlds['two letters and line breaks'], ({ values, text, cuts }) => {
    const longest = Math.max(...values.flatMap(needlesPlainly).map((needle) => needle.replaceAll('\n', '\r\n').length), 0);
    assert.ok(maskInChunks(values, text, cuts).mostHeld <= longest);
  }), { numRuns: runs(250, 20_000) });
});

test('work stays within a fixed multiple of the text', () => {
  fc.assert(fc.property(worlds['two letters and line breaks'], ({ values, text, cuts }) => {
    assert.ok(maskInChunks(values, text, cuts).steps <= 8 * text.length + 64);
  }), { numRuns: runs(250, 20_000) });
});

test('a set replaced in between masks what the old one found before and the new one from there on', () => {
  fc.assert(fc.property(worlds['two letters and line breaks'], fc.nat(2000), ({ values, text }, place) => {
    const cut = place % (text.length + 1);
    const [first, ...more] = values.map((value, index) => ({ name: `s${index}`, value }));
    const before = compileMaskSet([first!]);
    const masker = new Masker(before);
    const bytes = Buffer.from(text, 'latin1');
    let out = Buffer.from(masker.write(bytes.subarray(0, cut))).toString('latin1');
    const releasedAt = cut - masker.heldBytes;
    masker.replaceSet(compileMaskSet(more, { after: before }));
    out += Buffer.from(masker.write(bytes.subarray(cut))).toString('latin1');
    out += Buffer.from(masker.end()).toString('latin1');
    // What had left was masked by the old set alone; the new one is looked for in what was still held.
    const marks = marksOf([first!.value], text.slice(0, cut));
    marksOf(values, text.slice(releasedAt)).forEach((mark, at) => { marks[releasedAt + at] ||= mark; });
    assert.equal(out, renderMarks(text, marks));
  }), { numRuns: runs(250, 20_000) });
});
