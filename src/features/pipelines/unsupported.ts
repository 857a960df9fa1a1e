/**
 * What the documented pipeline YAML has and this version does not run. Such an element is refused by its name, at its
 * place, so that nobody believes a part of his file was done.
 */
import { z } from 'zod';

/** A field that may not be there yet. Its schema accepts nothing, so the fault is reported at the field itself. */
export type NotYet = z.ZodOptional<z.ZodNever>;

/** Fields that are documented and not supported, for spreading into a strict object. `instead` is a remedy. */
export function notYet<K extends string>(names: readonly K[], instead = ''): { [key in K]: NotYet } {
  const fields = {} as { [key in K]: NotYet };
  for (const name of names) fields[name] = z.never({ error: say(name, instead) }).optional();
  return fields;
}

/** A documented list or map that editors write empty into every file: empty is accepted, content is not. */
export function emptyYet(name: string): z.ZodOptional<z.ZodType<unknown>> {
  const error = say(name, '');
  const emptyList = z.array(z.unknown(), { error }).max(0, { error });
  const emptyMap = z.record(z.string(), z.never({ error }), { error });
  return z.union([emptyList, emptyMap], { error }).optional();
}

/** A switch that is supported in one position only. */
export function onlyYet<const T extends boolean>(name: string, value: T): z.ZodOptional<z.ZodLiteral<T>> {
  return z.literal(value, { error: `\`${name}\` is supported only as \`${value}\`` }).optional();
}

function say(name: string, instead: string): string {
  return `\`${name}\` is not supported yet${instead === '' ? '' : `; ${instead}`}`;
}

export const pipelineFieldsNotYet = [
  'properties', 'template', 'flowControl', 'notificationRules', 'allowStageExecutions',
  'inputs', 'strategy', 'fixedInputsOnRerun', 'allowDynamicExecutions',
] as const;

export const stageFieldsNotYet = ['strategy', 'template', 'skipCondition', 'skipInstances', 'gitAware'] as const;

export const ciSpecNotYet = [
  'infrastructure', 'platform', 'runtime', 'caching', 'buildIntelligence', 'sharedPaths', 'serviceDependencies',
  'slsa_provenance',
] as const;

export const deploymentSpecNotYet = [
  'deploymentType', 'services', 'environments', 'environmentGroup', 'infrastructure', 'serviceConfig', 'customDeploymentRef',
  'gitOpsEnabled',
] as const;

export const stepFieldsNotYet = ['strategy', 'template', 'enforce', 'skipCondition'] as const;

export const runSpecNotYet = [
  'connectorRef', 'image', 'privileged', 'runAsUser', 'resources', 'reports', 'imagePullPolicy', 'alias', 'entrypoint',
  'portBindings',
] as const;

export const shellScriptSpecNotYet = ['includeInfraSelectors', 'outputAlias', 'metadata'] as const;

export const stageTypesNotYet: readonly string[] = [
  'Approval', 'Custom', 'Security', 'SecurityTests', 'IACM', 'FeatureFlag', 'Pipeline',
];

export const stepTypesNotYet: readonly string[] = [
  'HarnessApproval', 'CustomApproval', 'JiraApproval', 'ServiceNowApproval', 'JiraCreate', 'JiraUpdate', 'ServiceNowCreate',
  'ServiceNowUpdate', 'Http', 'Email', 'Wait', 'Queue', 'Barrier', 'Policy', 'Verify', 'Command', 'Container', 'Plugin', 'RunTests',
  'Test', 'Background', 'Action', 'Bitrise', 'GitClone', 'BuildAndPushDockerRegistry', 'BuildAndPushECR', 'BuildAndPushGCR',
  'BuildAndPushGAR', 'BuildAndPushACR', 'RestoreCacheS3', 'RestoreCacheGCS', 'SaveCacheS3', 'SaveCacheGCS', 'S3Upload', 'GCSUpload',
  'ArtifactoryUpload', 'TerraformPlan', 'TerraformApply', 'TerraformDestroy', 'TerraformRollback', 'K8sRollingDeploy',
  'K8sRollingRollback', 'K8sBlueGreenDeploy', 'K8sBGSwapServices', 'K8sCanaryDeploy', 'K8sCanaryDelete', 'K8sApply', 'K8sDelete',
  'K8sScale', 'K8sDryRun', 'HelmDeploy', 'HelmRollback', 'FlagConfiguration',
];

export const shellsNotYet: readonly string[] = ['Powershell', 'PowerShell', 'Pwsh', 'Python'];

export const actionsNotYet: readonly string[] = [
  'Retry', 'StageRollback', 'StepGroupRollback', 'PipelineRollback', 'ManualIntervention', 'ProceedWithDefaultValues',
  'RetryStepGroup', 'ProceedAsApproved',
];
