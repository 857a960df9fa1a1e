import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseOutputs } from './outputs.ts';

const parse = (record: string | Buffer, names = ['A', 'B']) => parseOutputs(Buffer.from(record), names);

describe('the record of a script', () => {
  const rows = [
    ['nothing written is absent', '', { outcome: 'absent' }],
    ['a status alone is an end without outputs', '0\0', { outcome: 'captured', status: 0, outputs: {} }],
    ['a status that is not a number is no record', 'x\0A=1\0', { outcome: 'absent' }],
    ['a status without its NUL is no record', '0', { outcome: 'absent' }],
    ['a value without its NUL is dropped', '1\0A=1\0B=cut', { outcome: 'captured', status: 1, outputs: { A: '1' } }],
    ['the last value of a name wins', '0\0A=1\0A=2\0', { outcome: 'captured', status: 0, outputs: { A: '2' } }],
    ['a name that is not listed is dropped', '0\0C=1\0=2\0B\0A=3\0', { outcome: 'captured', status: 0, outputs: { A: '3' } }],
    ['a value may hold `=` and lines', '0\0A=x=y\nB=z\0', { outcome: 'captured', status: 0, outputs: { A: 'x=y\nB=z' } }],
  ] as const;
  for (const [guarantee, record, expected] of rows) test(guarantee, () => assert.deepEqual(parse(record), expected));

  test('bytes that are not UTF-8 become U+FFFD', () => {
    const record = Buffer.concat([Buffer.from('0\0A='), Buffer.from([0xff, 0xfe]), Buffer.from('\0')]);
    assert.deepEqual(parse(record), { outcome: 'captured', status: 0, outputs: { A: '\ufffd\ufffd' } });
  });

  test('`__proto__` is a name like any other', () => {
    const captured = parse('0\0__proto__=x\0', ['__proto__']);
    assert.deepEqual(Object.entries(captured.outcome === 'captured' ? captured.outputs : {}), [['__proto__', 'x']]);
  });

  test('any bytes give only listed names', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const captured = parse(Buffer.concat([Buffer.from('0\0'), bytes]));
      const names = captured.outcome === 'captured' ? Object.keys(captured.outputs) : [];
      assert.deepEqual(names.filter((name) => name !== 'A' && name !== 'B'), []);
    }));
  });
});
