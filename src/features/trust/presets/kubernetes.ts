import type { Preset } from './preset.ts';

const account = '/kubernetes.io/serviceaccount/uid';
const texts = ['/kubernetes.io/pod/name', '/kubernetes.io/node/name'];
const uids = ['/kubernetes.io/pod/uid', '/kubernetes.io/node/uid'];

/**
 * Service accounts of a Kubernetes cluster. Namespace and name come back when they are made again, the account's uid does
 * not. Each cluster is an issuer of its own, often one that cannot be reached.
 */
export const kubernetes: Preset = {
  title: 'Kubernetes service accounts',
  claims: [
    { claim: account, type: 'text', presence: 'required', immutable: true },
    { claim: '/kubernetes.io/namespace', type: 'text', presence: 'required' },
    { claim: '/kubernetes.io/serviceaccount/name', type: 'text', presence: 'always', names: account, namedIn: ['/kubernetes.io/namespace'] },
    { claim: '/sub', type: 'text', presence: 'always', names: account },
    ...texts.map((claim) => ({ claim, type: 'text' as const, presence: 'sometimes' as const })),
    ...uids.map((claim) => ({ claim, type: 'text' as const, presence: 'sometimes' as const, immutable: true as const })),
    { claim: '/kubernetes.io/secret/name', type: 'text', presence: 'sometimes' },
    { claim: '/kubernetes.io/secret/uid', type: 'text', presence: 'sometimes', immutable: true },
    { claim: '/kubernetes.io/warnafter', type: 'number', presence: 'sometimes' },
  ],
  subjectClaims: [account],
  issuers: [],
  selfHosted: true,
  contexts: [],
  severalAudiences: true,
};
