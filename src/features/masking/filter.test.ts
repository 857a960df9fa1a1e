import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refusal } from '#kernel/errors.ts';
import { maskStream, readSecretsFile } from './filter.ts';

async function* chunksOf(...chunks: string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

test('a stream is copied, masked across its chunks, and summed up', async () => {
  const out: string[] = [];
  const secrets = [{ name: 'password', value: 'hunter2' }, { name: 'pin', value: '1234' }];
  const { hits, unmaskable } = await maskStream(chunksOf('pw=hun', 'ter2 1234 hunt'), secrets, (bytes) => { out.push(Buffer.from(bytes).toString()); });
  assert.deepEqual(out, ['pw=', '*** 1234 ', 'hunt']);
  assert.deepEqual(Object.fromEntries(hits), { password: 1 });
  assert.deepEqual(unmaskable.map(({ name }) => name), ['pin']);
});

test('the next chunk is read only when the sink has taken the last', async () => {
  const events: string[] = [];
  async function* source(): AsyncGenerator<Uint8Array> {
    for (const name of ['one', 'two']) {
      events.push(`read ${name}`);
      yield Buffer.from(name);
    }
  }
  await maskStream(source(), [], async (bytes) => {
    await Promise.resolve();
    events.push(`took ${Buffer.from(bytes).toString()}`);
  });
  assert.deepEqual(events, ['read one', 'took one', 'read two', 'took two']);
});

test('a sink that fails ends the copying with its error', async () => {
  await assert.rejects(maskStream(chunksOf('a', 'b'), [], () => { throw new Error('sink is full'); }), /sink is full/);
});

test('a secrets file is an array of names and values, files marked', () => {
  const secrets = [{ name: 'a', value: 'hunter2' }, { name: 'b', value: 'line\nline', file: true }];
  assert.deepEqual(readSecretsFile(JSON.stringify(secrets)), secrets);
});

const malformed: Record<string, [text: string, code: string, pointer?: string]> = {
  'not JSON': ['[{"name":"a","value":"hunter2"', 'request.malformed'],
  'an unquoted secret': ['hunter2', 'request.malformed'],
  'an object': ['{"hunter2":"hunter2"}', 'request.invalid', ''],
  'an unknown field, here a secret': ['[{"name":"a","value":"hunter2","hunter2":1}]', 'request.invalid', '/0'],
  'no name': ['[{"value":"hunter2"}]', 'request.invalid', '/0/name'],
  'an empty name': ['[{"name":"","value":"hunter2"}]', 'request.invalid', '/0/name'],
  'a value that is no text': ['[{"name":"a","value":["hunter2"]}]', 'request.invalid', '/0/value'],
  'file as text': ['[{"name":"a","value":"hunter2","file":"hunter2"}]', 'request.invalid', '/0/file'],
};

for (const [name, [text, code, pointer]] of Object.entries(malformed)) {
  test(`a secrets file is refused without a word of it: ${name}`, () => {
    assert.throws(() => readSecretsFile(text), (error) => {
      assert.ok(error instanceof Refusal);
      assert.equal(error.code, code);
      assert.deepEqual(error.errors.map((one) => one.pointer), pointer === undefined ? [] : [pointer]);
      const everything = [error.message, error.say, error.because, JSON.stringify(error.errors), String(error.cause)].join('\n');
      assert.ok(!everything.includes('hunter2'), everything);
      return true;
    });
  });
}
