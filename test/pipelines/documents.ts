/** Pipeline documents and the record of an execution that several tests share; all made up for them. */
import { parse } from 'yaml';
import { functionTable, ownFunctions } from '#features/expressions/language.ts';
import { outputFunction } from '#features/pipelines/inline.ts';
import type { ExpressionFunction } from '#features/pipelines/language.ts';
import { compilePlan } from '#features/pipelines/plan.ts';
import type { Plan, PlanResult } from '#features/pipelines/plan.ts';
import type { ExecutionRecord } from '#features/pipelines/schema.ts';

const delivery = (name: string): ExpressionFunction => ({
  name, phase: 'delivery', parameters: { min: 1, max: 3 }, summary: 'for tests', example: `<+${name}("x")>`,
});

export const functions = functionTable([
  ...ownFunctions, delivery('secrets.getValue'), delivery('secrets.getJWT'), outputFunction,
]);

export const yaml = (text: string): unknown => parse(text);

/** A pipeline of one `CI` stage `s` with these steps (YAML list, not indented). */
export function stageOf(steps: string, more = ''): string {
  const indented = steps.trim().split('\n').map((line) => `            ${line}`).join('\n');
  return `pipeline:\n${more}  stages:\n    - stage:\n        identifier: s\n        type: CI\n        spec:\n          execution:\n            steps:\n${indented}\n`;
}

/** One `Run` step: `run('a', 'echo hi', 'when: { stageStatus: All }')`. */
export function run(identifier: string, command = 'true', more = ''): string {
  return `- step: { identifier: ${identifier}, type: Run, spec: { command: ${JSON.stringify(command)} }${more === '' ? '' : `, ${more}`} }\n`;
}

export function compile(text: string, inputs: Readonly<Record<string, unknown>> = {}): PlanResult {
  return compilePlan({
    document: yaml(text), scope: 'payments/checkout', identifier: 'recover', revision: { uid: 'ppl-uid', version: 3, sha256: 'f'.repeat(64) }, inputs, functions,
  });
}

export function planOf(text: string, inputs: Readonly<Record<string, unknown>> = {}): Plan {
  const result = compile(text, inputs);
  if ('errors' in result) throw new Error(JSON.stringify(result.errors, null, 1));
  return result.plan;
}

export const record: ExecutionRecord = {
  formatVersion: 1,
  executionId: 'exec-1',
  sequenceId: 7,
  account: { identifier: 'default', uid: 'acc-uid', name: null },
  organization: { identifier: 'payments', uid: 'org-uid', name: 'Payments' },
  project: { identifier: 'checkout', uid: 'prj-uid', name: 'Checkout' },
  trigger: { type: 'MANUAL' },
  triggeredBy: { type: 'workload', id: 'https://issuer.example#app', name: 'app $(id)', email: null },
  origin: { issuer: 'https://issuer.example', subject: 'app', sessionId: 'ses-1' },
  untrusted: false,
  limits: { queueMs: 60_000, maxOffers: 3 },
  environments: [{ reference: 'prod', identifier: 'prod', uid: 'env-uid', name: 'Production', type: 'Production' }],
  services: [{ reference: 'web', identifier: 'web', uid: 'svc-uid', name: null }],
};

/** The pipeline of the manifest reference. */
export const recover = `
pipeline:
  stages:
    - stage:
        identifier: build
        type: CI
        spec: { execution: { steps: [ { step: { identifier: hello, type: Run, spec: { shell: Bash, command: echo hello } } } ] } }
    - stage:
        identifier: deploy
        type: Deployment
        spec:
          service: { serviceRef: web }
          environment: { environmentRef: prod }
          execution:
            steps:
              - step:
                  identifier: token
                  type: Run
                  spec:
                    shell: Bash
                    envVariables: { TOKEN: <+secrets.getJWT("account.partner")> }
                    command: ./deploy.sh
        failureStrategies: [ { onFailure: { errors: [AllErrors], action: { type: Abort } } } ]
`;

/** As an editor writes it: everything spelled out, empty lists where nothing is. */
export const spelledOut = `
pipeline:
  name: Nightly
  identifier: nightly
  orgIdentifier: payments
  projectIdentifier: checkout
  description: ""
  tags: { team: web, flag: "" }
  variables:
    - { name: target, type: String, description: where to, required: true, value: '<+input>.default("staging").allowedValues(staging, prod)' }
    - { name: retries, type: Number, value: 3 }
    - { name: password, type: Secret, value: org.db_password }
    - { name: greeting, type: String, value: "hello <+pipeline.variables.target>" }
  timeout: 2h
  stages:
    - parallel:
        - stage:
            name: Build it
            identifier: build
            description: ""
            type: CI
            tags: {}
            delegateSelectors: []
            spec:
              cloneCodebase: false
              execution:
                steps:
                  - step:
                      type: Run
                      name: Compile
                      identifier: compile
                      timeout: 1h 30m
                      spec:
                        shell: Sh
                        command: make
                        envVariables: { TARGET: <+pipeline.variables.target>, JOBS: 4, VERBOSE: true }
                        outputVariables: [ { name: DIGEST }, { name: PUSH_TOKEN, type: Secret, value: token } ]
                rollbackSteps: []
        - stage:
            identifier: lint
            type: CI
            spec: { execution: { steps: [ { step: { identifier: lint, type: Run, spec: { command: make lint } } } ] } }
    - stage:
        identifier: ship
        type: Deployment
        variables: [ { name: region, type: String, value: eu } ]
        when: { pipelineStatus: Success, condition: <+pipeline.variables.target> == "prod" }
        timeout: 1d
        failureStrategies:
          - onFailure: { errors: [Timeout], action: { type: Ignore } }
          - onFailure: { errors: [AllErrors], action: { type: MarkAsFailure } }
        spec:
          service: { serviceRef: org.web }
          environment: { environmentRef: <+pipeline.variables.target>, deployToAll: false, infrastructureDefinitions: [] }
          execution:
            steps:
              - parallel:
                  - step:
                      identifier: push
                      type: ShellScript
                      spec:
                        shell: Bash
                        onDelegate: true
                        executionTarget: {}
                        source: { type: Inline, spec: { script: ./push.sh } }
                        environmentVariables:
                          - { name: DIGEST, type: String, value: <+pipeline.stages.build.spec.execution.steps.compile.output.outputVariables.DIGEST> }
                          - { name: TOKEN, type: String, value: "Bearer <+pipeline.stages.build.spec.execution.steps.compile.output.outputVariables.PUSH_TOKEN>" }
                          - { name: PASSWORD, type: Secret, value: <+pipeline.variables.password> }
                          - { name: KEY, type: Secret, value: account.key }
                        outputVariables: [ { name: url, type: String, value: URL } ]
                      failureStrategies: []
                  - step: { identifier: note, type: Run, spec: { command: "echo <+stage.variables.region> <+env.type>" } }
              - step:
                  identifier: cleanup
                  type: Run
                  when: { stageStatus: All, condition: "<+steps.push.status> != 'Skipped'" }
                  spec: { command: ./cleanup.sh }
            rollbackSteps: []
`;
