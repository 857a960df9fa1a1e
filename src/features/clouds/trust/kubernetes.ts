/** Kubernetes: structured authentication of the API server (`--authentication-config`, 1.30 and newer). */
import { stringify } from 'yaml';
import type { KubernetesSpec } from '#features/connectors/schema.ts';
import { conditionCheck, conditionOf } from './condition.ts';
import type { Trust, TrustWish } from './words.ts';
import { pinsOf, sameText } from './words.ts';

export function kubernetesTrust({ spec, claims }: TrustWish<KubernetesSpec>): Trust {
  const audience = spec.audience ?? spec.server;
  const condition = conditionOf('claims', pinsOf(claims));
  const authenticator = {
    issuer: { url: claims.iss, audiences: [audience] },
    claimValidationRules: [{ expression: condition, message: 'not the pipeline that is trusted' }],
    claimMappings: {
      username: { expression: '"sallyport:" + claims.sub' },
      groups: { expression: '["sallyport:project:" + claims.project_uid]' },
      uid: { expression: 'claims.sub' },
    },
    userValidationRules: [{ expression: '!user.username.startsWith("system:")', message: 'names of the system are not for tokens' }],
  };
  const configuration = { apiVersion: 'apiserver.config.k8s.io/v1beta1', kind: 'AuthenticationConfiguration', jwt: [authenticator] };
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name: 'sallyport', namespace: 'default' },
    subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: `sallyport:${claims.sub}` }],
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
  };
  return {
    parts: [
      { title: 'the authentication configuration of the API server', format: 'yaml', text: stringify(configuration, { lineWidth: 0 }) },
      { title: 'what it may do there: choose namespace and role', format: 'yaml', text: stringify(role, { lineWidth: 0 }) },
    ],
    check: (token) => [sameText('issuer', authenticator.issuer.url, token.iss), sameText('audience', audience, token.aud), conditionCheck('claim validation', 'claims', condition, token)],
  };
}
