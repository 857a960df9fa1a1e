/** The door of questions: who may do what, and why. */
import type { Manifest } from '#kernel/manifest.ts';
import type { CheckServices } from './check.ts';
import { checkOperations } from './check.ts';
import { explainOperation } from './explain.ts';
import { accessNoun } from './schema.ts';

export const questions: Manifest = { name: 'questions', nouns: [accessNoun] };

export function questionsFeature(services: CheckServices): Manifest {
  return { name: 'questions', operations: [...checkOperations(services), explainOperation(services)] };
}
