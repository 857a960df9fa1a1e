/** The door of questions: who may do what, and why. */
import type { Manifest } from '#kernel/manifest.ts';
import { evaluationOperations } from './authzen.ts';
import type { MetadataServices } from './authzen-metadata.ts';
import { metadataOperations } from './authzen-metadata.ts';
import type { SearchServices } from './authzen-search.ts';
import { searchOperations } from './authzen-search.ts';
import type { ChangeQuestionServices } from './change-question.ts';
import { changeQuestion } from './change-question.ts';
import { checkOperations } from './check.ts';
import { explainOperation } from './explain.ts';
import { reachOperations } from './reach.ts';
import { accessNoun } from './schema.ts';

export const questions: Manifest = { name: 'questions', nouns: [accessNoun] };

export function questionsFeature(services: SearchServices & MetadataServices & ChangeQuestionServices): Manifest {
  return {
    name: 'questions',
    operations: [
      ...checkOperations(services), explainOperation(services), ...reachOperations(services), changeQuestion(services),
      ...evaluationOperations(services), ...searchOperations(services), ...metadataOperations(services),
    ],
  };
}
