import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileMaskSet } from './mask-set.ts';
import type { MaskSet } from './mask-set.ts';
import { Masker, containsSecret, maskWhole } from './masker.ts';

const pem = '-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\nMzEfYyjiWA4R4\n-----END PRIVATE KEY-----\n';
const jwt = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwcmo6MSJ9.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg';
const [jwtHeader, jwtPayload, jwtSignature] = jwt.split('.') as [string, string, string];

interface Row { secrets: (string | Uint8Array)[]; text: string | Uint8Array; out: string | Uint8Array }

/** Every row is run whole, byte by byte, and split at every place. */
const rows: Record<string, Row> = {
  'text without a secret passes unchanged': { secrets: ['hunter2-hunter2'], text: 'nothing here\n', out: 'nothing here\n' },
  'a set without secrets changes nothing': { secrets: [], text: 'hunter2-hunter2', out: 'hunter2-hunter2' },
  'no text gives no text': { secrets: ['hunter2'], text: '', out: '' },
  'a secret in the middle becomes three stars': { secrets: ['hunter2'], text: 'pw=hunter2;', out: 'pw=***;' },
  'a secret at the start and at the end is masked': { secrets: ['hunter2'], text: 'hunter2 and hunter2', out: '*** and ***' },
  'a text that is the secret is masked': { secrets: ['hunter2'], text: 'hunter2', out: '***' },
  'six bytes are enough': { secrets: ['abc123'], text: 'xabc123x', out: 'x***x' },
  'the mask does not tell the length': { secrets: ['a'.repeat(500)], text: `<${'a'.repeat(500)}>`, out: '<***>' },
  'case counts': { secrets: ['Hunter2'], text: 'hunter2', out: 'hunter2' },
  'a secret that begins like itself is found after a false start (aab)': {
    secrets: ['aaaaaaaab'], text: 'aaaaaaaaaaab', out: 'aaa***',
  },
  'a secret that ends as it begins is found after a false start (xyxz)': {
    secrets: ['xyxyxyxz'], text: 'xyxyxyxyxyxz', out: 'xyxy***',
  },
  'a repetition of one letter is masked as a whole': { secrets: ['aaaaaa'], text: 'baaaaaaaaab', out: 'b***b' },
  'one secret inside another': { secrets: ['hunter2', 'my-hunter2-long'], text: 'my-hunter2-long hunter2', out: '*** ***' },
  'the inner secret is masked when the outer one is cut short': {
    secrets: ['hunter2', 'my-hunter2-long'], text: 'my-hunter2-lon', out: 'my-***-lon',
  },
  'overlapping secrets are masked with one mask': { secrets: ['abcdefgh', 'efghijkl'], text: '.abcdefghijkl.', out: '.***.' },
  'overlapping secrets of which the second is cut short leave its tail': {
    secrets: ['abcdefgh', 'efghijkl'], text: '.abcdefghijk.', out: '.***ijk.',
  },
  'a later, longer match takes in the earlier ones': {
    secrets: ['bcdefg', 'ijklmn', 'abcdefghijklmnop'], text: '.abcdefghijklmnop.', out: '.***.',
  },
  'touching secrets become one mask': { secrets: ['abcdefgh', 'ijklmnop'], text: 'abcdefghijklmnop!', out: '***!' },
  'secrets one byte apart keep it': { secrets: ['abcdefgh', 'ijklmnop'], text: 'abcdefgh ijklmnop', out: '*** ***' },
  'a secret of several code points': { secrets: ['pässwörd→🔑'], text: 'x pässwörd→🔑 y', out: 'x *** y' },
  'a secret that begins and ends inside code points': {
    secrets: [Buffer.from('→secret→').subarray(1, -1)], text: 'a→secret→b', out: Buffer.from([0x61, 0xe2, 0x2a, 0x2a, 0x2a, 0x92, 0x62]),
  },
  'bytes that are not UTF-8': {
    secrets: [Uint8Array.of(0xff, 0x00, 0xfe, 0x80, 0x81, 0xc0)], text: Uint8Array.of(1, 0xff, 0x00, 0xfe, 0x80, 0x81, 0xc0, 2), out: Uint8Array.of(1, 0x2a, 0x2a, 0x2a, 2),
  },
  'white space at the edges of a value need not be printed': { secrets: ['  hunter2 \n'], text: '[hunter2]\n', out: '[***]\n' },
  'a PEM file printed whole is one mask': { secrets: [pem], text: `key:\n${pem}done`, out: 'key:\n***\ndone' },
  'a PEM file printed with CRLF is one mask': {
    secrets: [pem], text: `key:\r\n${pem.replaceAll('\n', '\r\n')}done`, out: 'key:\r\n***\r\ndone',
  },
  'a PEM file stored with CRLF and printed with LF is one mask': {
    secrets: [pem.replaceAll('\n', '\r\n')], text: pem, out: '***\n',
  },
  'LF and CRLF may be mixed': { secrets: ['ab\ncd\nef'], text: 'ab\r\ncd\nef', out: '***' },
  'a CR that is no line break ends a match': { secrets: ['ab\ncd\nef'], text: 'ab\r\r\ncd\nef', out: 'ab\r\r\ncd\nef' },
  'a CR inside a value is matched as it is': { secrets: ['abcd\refgh'], text: 'abcd\refgh abcdefgh', out: '*** abcdefgh' },
  'a line break right after a secret stays': { secrets: ['hunter2'], text: 'hunter2\r\nhunter2\r', out: '***\r\n***\r' },
  'a PEM file indented by a YAML printer is masked line by line': {
    secrets: [pem], text: pem.trimEnd().split('\n').map((line) => `  ${line}\n`).join(''), out: '  ***\n'.repeat(5),
  },
  'a single line of a file is masked': { secrets: [pem], text: 'MzEfYyjiWA4R4', out: '***' },
  'a line below eight bytes is not masked alone': { secrets: ['abcdefgh\nshort\nijklmnop'], text: 'short', out: 'short' },
  'a line of a value that is indented there is masked without it': {
    secrets: ['{\n    "token": "abc",\n}'], text: '"token": "abc",', out: '***',
  },
  'empty and blank lines are never needles': { secrets: ['abcdefgh\n\n            \nijklmnop'], text: '\n\n            \n', out: '\n\n            \n' },
  'the parts of a JWT are masked alone': {
    secrets: [jwt], text: `${jwt} ${jwtHeader} ${jwtPayload} ${jwtSignature}`, out: '*** *** *** ***',
  },
  'two parts of a JWT leave the dot between them': { secrets: [jwt], text: `${jwtHeader}.${jwtPayload}`, out: '***.***' },
  'a short part of a JWT is not masked alone': {
    secrets: ['eyJhbGciOiJSUzI1NiJ9.c2hvcnQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg'], text: 'c2hvcnQ', out: 'c2hvcnQ',
  },
  'parts of a dotted value that is no JWT are not masked alone': {
    secrets: ['service account.production-eu-west-1.example-company'], text: 'production-eu-west-1', out: 'production-eu-west-1',
  },
};

for (const [name, row] of Object.entries(rows)) {
  test(name, () => {
    const set = setOf(row.secrets);
    const text = Buffer.from(row.text);
    const expected = Buffer.from(row.out).toString('latin1');
    assert.equal(Buffer.from(maskWhole(set, text)).toString('latin1'), expected, 'whole');
    for (let cut = 0; cut <= text.length; cut += 1) {
      assert.equal(masked(set, [text.subarray(0, cut), text.subarray(cut)]), expected, `split at ${cut}`);
    }
    assert.equal(masked(set, Array.from(text, (_, at) => text.subarray(at, at + 1))), expected, 'byte by byte');
  });
}

test('only what may still become a match is held back', () => {
  const held = (secrets: string[], text: string): number => {
    const masker = new Masker(setOf(secrets));
    masker.write(Buffer.from(text));
    return masker.heldBytes;
  };
  const cases: [secrets: string[], text: string, held: number][] = [
    [['hunter2'], 'password: ', 0],
    [['hunter2'], 'password: hunt', 4],
    [['hunter2'], 'password: hunter2', 0],
    [['hunter2'], 'password: hunter', 6],
    [['hunter2', 'hunter2-long'], 'hunter2', 7],
    [['xyxyxyxz'], 'xyxyxyxy', 6],
    [['abcdef\nghijkl'], 'abcdef\r', 7],
    [['abcdef\nghijkl'], 'abcdef\r\n', 8],
    [['abcdef\nghijkl'], 'abcdef\rg', 0],
    [['hunter2'], 'line\r', 0],
  ];
  for (const [secrets, text, bytes] of cases) assert.equal(held(secrets, text), bytes, JSON.stringify(text));
});

test('a mask leaves at once when its start is certain, and is not written twice when the match goes on', () => {
  const masker = new Masker(setOf(['abcdef', 'defghijk']));
  assert.equal(text(masker.write(Buffer.from('.abcdef'))), '.***');
  assert.equal(text(masker.write(Buffer.from('ghijk'))), '');
  assert.equal(text(masker.write(Buffer.from('.'))), '.');
  assert.equal(text(masker.end()), '');
});

test('the bytes a caller passed in are not changed', () => {
  const chunk = Buffer.from('pw=hunter2;');
  new Masker(setOf(['hunter2'])).write(chunk);
  assert.equal(chunk.toString(), 'pw=hunter2;');
});

test('hits count masks by secret, every secret once a mask, duplicates under all their names', () => {
  const set = compileMaskSet([
    { name: 'key', value: pem, file: true },
    { name: 'password', value: 'hunter2' },
    { name: 'same-password', value: Buffer.from('hunter2') },
    { name: 'long', value: 'my-hunter2' },
    { name: 'unused', value: 'never-printed' },
  ]);
  const masker = new Masker(set);
  for (const byte of Buffer.from(`${pem} hunter2 my-hunter2 hunter2hunter2 MzEfYyjiWA4R4`)) masker.write(Uint8Array.of(byte));
  masker.end();
  assert.deepEqual(Object.fromEntries(masker.hits), { key: 2, password: 3, 'same-password': 3, long: 1 });
});

test('containsSecret names what a value holds, in order, and nothing else', () => {
  const set = compileMaskSet([{ name: 'z', value: 'hunter2' }, { name: 'a', value: pem }, { name: 'b', value: 'absent-value' }]);
  assert.deepEqual(containsSecret(set, 'x'), []);
  assert.deepEqual(containsSecret(set, Buffer.from('user:hunter2 MzEfYyjiWA4R4')), ['a', 'z']);
});

test('a whole text without a secret comes back as it is, even if it is not well-formed', () => {
  assert.equal(maskWhole(setOf(['hunter2']), 'lone \ud800 surrogate'), 'lone \ud800 surrogate');
  assert.equal(maskWhole(setOf(['hunter2']), 'pw hunter2'), 'pw ***');
});

test('a secret registered in between is masked in what is still held and in what follows', () => {
  const before = setOf(['abcdef-old']);
  const masker = new Masker(before);
  assert.equal(text(masker.write(Buffer.from('token-123 abcd'))), 'token-123 ');
  masker.replaceSet(compileMaskSet([{ name: 'minted', value: 'abcdxyz' }], { after: before }));
  assert.equal(text(masker.write(Buffer.from('xyz abcdef-old abcd'))), '*** *** ');
  assert.equal(text(masker.end()), 'abcd');
  assert.deepEqual(Object.fromEntries(masker.hits), { minted: 1, s0: 1 });
});

test('a secret registered while all of it is held is masked', () => {
  const before = setOf(['token-1234567890']);
  const masker = new Masker(before);
  assert.equal(text(masker.write(Buffer.from('my token-123'))), 'my ');
  masker.replaceSet(compileMaskSet([{ name: 'short', value: 'en-123' }], { after: before }));
  assert.equal(text(masker.write(Buffer.from('!'))), 'tok***!');
});

test('a match half let go is still one mask after the set was replaced', () => {
  const before = setOf(['abcdef', 'defghijk']);
  const masker = new Masker(before);
  assert.equal(text(masker.write(Buffer.from('.abcdef'))), '.***');
  masker.replaceSet(compileMaskSet([{ name: 'more', value: 'unrelated' }], { after: before }));
  assert.equal(text(masker.write(Buffer.from('.'))), '.');
  assert.deepEqual(Object.fromEntries(masker.hits), { s0: 1 });
});

test('versions count up, and an older set never replaces a newer one', () => {
  const first = setOf(['hunter2']);
  const second = compileMaskSet([], { after: first });
  assert.deepEqual([first.version, second.version], [1, 2]);
  const masker = new Masker(second);
  assert.throws(() => masker.replaceSet(first), /older/);
  assert.throws(() => masker.replaceSet(second), /older/);
});

test('a masker that has ended takes nothing more', () => {
  const masker = new Masker(setOf(['hunter2']));
  masker.end();
  assert.throws(() => masker.write(Buffer.from('hunter2')), /after its end/);
  assert.throws(() => masker.end(), /twice/);
});

const size = 256 * 1024;
const near = `${'a'.repeat(4000)}b`;
const attacks: Record<string, { secrets: string[]; text: string }> = {
  'a long run of the first letter (a…ab never completed)': { secrets: [near], text: 'a'.repeat(size) },
  'a long secret broken off again and again at its last byte': {
    secrets: [near], text: `${near.slice(0, -1)}c`.repeat(Math.ceil(size / near.length)),
  },
  'nested prefixes, each a secret': {
    secrets: Array.from({ length: 200 }, (_, index) => `${'a'.repeat(6 + index)}b`), text: `${'a'.repeat(205)}c`.repeat(size / 206),
  },
  'suffixes of suffixes, all of which match everywhere': {
    secrets: Array.from({ length: 200 }, (_, index) => 'a'.repeat(6 + index)), text: 'a'.repeat(size),
  },
  'starts that look right for eight bytes and then stop': { secrets: ['abcdefghijklmnop'], text: 'abcdefgh'.repeat(size / 8) },
  'short secrets whose starts are everywhere': { secrets: ['ababac', 'bababd'], text: 'ab'.repeat(size / 2) },
  'line breaks of both kinds in an endless partial match': {
    secrets: [`${'ab\n'.repeat(4000)}end`], text: 'ab\r\nab\n'.repeat(size / 7),
  },
  'nothing but CRs': { secrets: ['abc\n\r\n\rdef'], text: `abc${'\r'.repeat(size)}` },
};

for (const [name, { secrets, text: attack }] of Object.entries(attacks)) {
  test(`work stays linear: ${name}`, () => {
    for (const chunkBytes of [64 * 1024, 7]) {
      const masker = new Masker(setOf(secrets));
      const bytes = Buffer.from(attack);
      for (let at = 0; at < bytes.length; at += chunkBytes) masker.write(bytes.subarray(at, at + chunkBytes));
      masker.end();
      assert.ok(masker.steps <= 4 * bytes.length, `${masker.steps} look-ups for ${bytes.length} bytes in chunks of ${chunkBytes}`);
    }
  });
}

test('ordinary text costs a look-up for several bytes', () => {
  const masker = new Masker(setOf(['correct-horse-battery', 'staple-2026-secret']));
  const log = Buffer.from('2026-03-10T12:10:10Z INFO compiling module checkout in 312 ms\n'.repeat(1000));
  masker.write(log);
  assert.ok(masker.steps < log.length / 4, `${masker.steps} look-ups for ${log.length} bytes`);
});

function setOf(values: readonly (string | Uint8Array)[]): MaskSet {
  return compileMaskSet(values.map((value, index) => ({ name: `s${index}`, value })));
}

function masked(set: MaskSet, chunks: readonly Uint8Array[]): string {
  const masker = new Masker(set);
  return [...chunks.map((chunk) => masker.write(chunk)), masker.end()].map(text).join('');
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
