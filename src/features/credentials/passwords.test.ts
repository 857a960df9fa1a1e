import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { hashPassword, verifyPassword } from './passwords.ts';

test('a password is known again by its hash, and no other is', async () => {
  const hash = await hashPassword('correct horse battery staple', randomBytes);
  assert.equal(await verifyPassword('correct horse battery staple', hash), true);
  for (const other of ['', 'correct horse battery stapl', 'Correct horse battery staple', 'correct horse battery staple ']) assert.equal(await verifyPassword(other, hash), false, other);
});

test('two hashes of one password differ', async () => {
  assert.notEqual(await hashPassword('the same password', randomBytes), await hashPassword('the same password', randomBytes));
});

test('what is no hash verifies nothing', async () => {
  for (const text of ['', 'plain', '$argon2i$v=19$m=65536,t=3,p=1$AAAA$AAAA', '$argon2id$v=19$m=65536,t=3,p=1$$']) assert.equal(await verifyPassword('plain', text), false, text);
});
