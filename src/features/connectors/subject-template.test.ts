import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { SubjectPart } from './subject-template.ts';
import { filledSubject, maxSubjectBytes, subjectFault, subjectTemplate } from './subject-template.ts';

describe('a template of `sub`', () => {
  const rows: [says: string, template: string, fault: RegExp | null][] = [
    ['is made of uids and what stands around them', 'env:{environment_uid}', null],
    ['may have three of them', 'prj:{project_uid}:ppl:{pipeline_uid}:env:{environment_uid}', null],
    ['may not be longer than everybody takes, however short it is written', '{organization_uid}{project_uid}{pipeline_uid}{environment_uid}', /144 bytes/],
    ['counts what stands around them', `${'a'.repeat(56)}{project_uid}{pipeline_uid}`, /128 bytes/],
    ['names no identifier, which can be given to something else', 'prj:{project_id}', /no part of a subject/],
    ['names no caller', '{triggered_by_id}', /no part of a subject/],
    ['is not always the same', 'deploy', /at least one part/],
    ['holds no uid in writing: nobody can write the subject of another project', 'prj:01a1fd3b-0000-7000-8000-000000000003:ppl:{pipeline_uid}', /mistaken for a uid/],
    ['holds nothing that could end a uid', 'prj:{project_uid}0', /mistaken for a uid/],
    ['holds no `-`, which is a part that is not there', 'prj:{project_uid}:env:-', /mistaken for a uid/],
    ['has no lone brace', 'prj:{project_uid}}', /mistaken for a uid/],
    ['has no part in a part', '{{project_uid}}', /mistaken for a uid/],
    ['has no empty part', 'x{}', /no part of a subject/],
    ['has no space and no control character', 'prj: {project_uid}', /mistaken for a uid/],
    ['has no letters beyond ASCII', 'prü:{project_uid}', /mistaken for a uid/],
  ];
  for (const [says, template, fault] of rows) {
    test(says, () => {
      const found = subjectFault(template);
      if (fault === null) assert.equal(found, null);
      else assert.match(found!, fault);
      assert.equal(subjectTemplate.safeParse(template).success, fault === null);
    });
  }

  test('a part that the run does not have is `-`', () => {
    assert.equal(filledSubject('prj:{project_uid}:env:{environment_uid}', (part) => (part === 'project_uid' ? 'P' : null)), 'prj:P:env:-');
  });
});

test('two runs that differ in a part that is named never have the same subject, whatever the template, and it is never too long', () => {
  const parts: SubjectPart[] = ['organization_uid', 'project_uid', 'pipeline_uid', 'environment_uid', 'service_uid'];
  const uid = fc.option(fc.uuid({ version: 7 }), { nil: null });
  const run = fc.record({ organization_uid: uid, project_uid: uid, pipeline_uid: uid, environment_uid: uid, service_uid: uid });
  const template = fc.array(fc.oneof(fc.constantFrom(...parts.map((part) => `{${part}}`)), fc.stringMatching(/^[a-z:_/]{0,6}$/)), { minLength: 1, maxLength: 7 })
    .map((pieces) => pieces.join('')).filter((text) => text !== '' && subjectFault(text) === null);
  fc.assert(fc.property(template, run, run, (text, one, other) => {
    const named = parts.filter((part) => text.includes(`{${part}}`));
    const subjects = [one, other].map((each) => filledSubject(text, (part) => each[part]));
    assert.equal(subjects[0] === subjects[1], named.every((part) => one[part] === other[part]));
    for (const subject of subjects) assert.ok(Buffer.byteLength(subject) <= maxSubjectBytes);
  }), { numRuns: 200 });
});
