import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import { refusal } from '#kernel/errors.ts';
import { createLog, describeError } from './log.ts';

function logged(fields: object): Record<string, unknown> {
  const lines = new PassThrough();
  createLog('debug', lines).info(fields, 'told');
  const { at, level, ...rest } = JSON.parse(String(lines.read())) as Record<string, unknown>;
  assert.equal(level, 'info');
  assert.match(String(at), /^\d{4}-\d\d-\d\dT/);
  return rest;
}

describe('the log', () => {
  for (const name of ['authorization', 'cookie', 'token', 'password', 'secret', 'value', 'setupCode', 'setup_code', 'hash', 'sealed', 'subject_token', 'assertion', 'privateKey']) {
    test(`has no \`${name}\`, however deep`, () => {
      const text = JSON.stringify(logged({ [name]: 'hunter2', a: { [name]: 'hunter2', b: { [name]: 'hunter2', c: { [name]: 'hunter2' } } } }));
      assert.equal(text.includes('hunter2'), false, text);
    });
  }

  test('has the code of an error and of its cause', () => {
    const lost = Object.assign(new Error('gone'), { code: '57P01', query: 'select secret' });
    const { error } = logged({ error: describeError(refusal('database.unavailable', { because: 'gone', cause: lost })) }) as { error: { code: string; cause: { code: string } } };
    assert.deepEqual([error.code, error.cause.code], ['database.unavailable', '57P01']);
    assert.equal(JSON.stringify(error).includes('select secret'), false);
  });
});
