import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ClaimExpectation } from './claim-condition.ts';
import { nearClaim, nearValue } from './near-value.ts';

describe('a value that does not fit is near when', () => {
  const rows: [says: string, expected: ClaimExpectation, actual: unknown, how: RegExp | null][] = [
    ['only the letter case differs', { equals: 'ws-Abc' }, 'WS-aBC', /upper and lower case/],
    ['there are spaces around it', { equals: 'ws-1' }, ' ws-1\n', /spaces/],
    ['a slash at the end is missing or too many', { equals: 'https://a.example/' }, 'https://a.example', /slash/],
    ['it only looks the same', { equals: 'ws-\ufb01' }, 'ws-fi', /look alike/],
    ['one character is another', { equals: 'ws-123' }, 'ws-128', /one character/],
    ['one character is missing', { equals: 'ws-123' }, 'ws-13', /one character/],
    ['two characters are swapped', { equals: 'ws-123' }, 'ws-132', /swapped/],
    ['it is a number instead of a text', { equals: '5' }, 5, /the number 5, the mapping wants the text "5"/],
    ['it is a text instead of true', { equals: true }, 'true', /the text "true", the mapping wants the value true/],
    ['it is a list with the value in it', { equals: 'a' }, ['b', 'a'], /list/],
    ['it is near to one of several', { oneOf: ['push', 'schedule'] }, 'Schedule', /upper and lower case/],
    ['a pattern fits but for the case', { glob: 'refs/heads/*' }, 'Refs/Heads/main', /upper and lower case/],
    ['a pattern meets a number', { glob: '5*' }, 55, /compares texts/],
    ['one value comes where a list is wanted', { any: { equals: 'ops' } }, 'ops', /list/],
    ['not when it is simply another', { equals: 'ws-123' }, 'ws-789', null],
    ['not when two characters differ', { equals: 'ws-123' }, 'ws-321', null],
    ['not when a short one differs', { equals: 'dev' }, 'dex', null],
    ['not when it is missing', { equals: 'x' }, undefined, null],
    ['not when a list lacks it', { equals: 'a' }, ['b'], null],
    ['not when it is an object', { equals: 'a' }, { a: 'a' }, null],
    ['not when it is longer than anybody compares', { equals: 'A'.repeat(999) }, 'a'.repeat(5_000), null],
  ];
  for (const [says, expected, actual, how] of rows) {
    test(says, () => {
      const found = nearValue(expected, actual);
      if (how === null) assert.equal(found, null);
      else assert.match(found ?? 'null', how);
    });
  }
});

describe('a claim that is missing has a namesake when', () => {
  const claims = { terraform_workspace_id: 'x', 'kubernetes.io': { namespace: 'n' }, 'oidc.circleci.com/project-id': 'p', __proto__: null };
  const rows: [says: string, pointer: string, near: string | null][] = [
    ['the case is another', '/Terraform_Workspace_Id', '/terraform_workspace_id'],
    ['there is a slip', '/terraform_worksapce_id', '/terraform_workspace_id'],
    ['it lies within another', '/namespace', '/kubernetes.io/namespace'],
    ['a slash in its name was taken for a step', '/oidc.circleci.com/project-id', '/oidc.circleci.com~1project-id'],
    ['not when nothing is like it', '/quarter/name', null],
    ['not when it is called `__proto__`', '/__proto__', null],
  ];
  for (const [says, pointer, near] of rows) test(says, () => assert.equal(nearClaim(pointer, claims), near));
});
