/**
 * The table of what tools read, by type of connector. Sources: AIP-4117 (`external_account`), the AWS SDK reference guide
 * (web identity), the Azure Identity libraries (workload identity), Vault's environment variables, client-go's exec
 * credentials (client.authentication.k8s.io/v1).
 */
import type { AwsSpec, AzureSpec, ConnectorSpec, GcpSpec, JwtSpec, KubernetesSpec, VaultSpec } from '#features/connectors/schema.ts';
import { azureClouds, providerName } from '#features/connectors/schema.ts';
import { durationSeconds } from '#kernel/marks.ts';
import { runnerWords } from '#platform/delivery.ts';
import type { ToolWords, Wish } from './tool-words.ts';
import { tokenFile } from './tool-words.ts';

const { files, tokenUrl, tokenSecret } = runnerWords;

/** A token file has a variable of its own where no tool has a word for it. */
function fileVariables({ audiences }: Wish<ConnectorSpec>, isFile: boolean): Record<string, string> {
  return isFile ? Object.fromEntries([...audiences.keys()].map((variable) => [`${variable}_FILE`, `${files}/${tokenFile(variable)}`])) : {};
}

const jwt: ToolWords<JwtSpec> = { forms: ['variable', 'endpoint'], trade: null, environment: fileVariables };

const gcp: ToolWords<GcpSpec> = {
  forms: ['variable', 'file', 'endpoint'],
  trade: 'secrets.getGCPAccessToken',
  traded: (token) => ({ CLOUDSDK_AUTH_ACCESS_TOKEN: String(token) }),
  environment: ({ name }) => ({ GOOGLE_APPLICATION_CREDENTIALS: `${files}/${name}.google.json` }),
  fixed: (wish, isFile) => [{ name: `${wish.name}.google.json`, content: JSON.stringify(externalAccount(wish, isFile)) }],
};

function externalAccount({ spec, name, audiences, endpoint }: Wish<GcpSpec>, isFile: boolean): object {
  const { serviceAccountEmail: email } = spec;
  const [audience] = [...audiences.values()];
  const impersonation = `${endpoint('gcp_iam_credentials') ?? 'https://iamcredentials.googleapis.com'}/v1/projects/-/serviceAccounts/${encodeURIComponent(email ?? '')}:generateAccessToken`;
  return {
    type: 'external_account',
    audience: providerName(spec),
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${endpoint('gcp_sts') ?? 'https://sts.googleapis.com'}/v1/token`,
    ...(email === undefined ? {} : {
      service_account_impersonation_url: impersonation,
      service_account_impersonation: { token_lifetime_seconds: durationSeconds(spec.accessTokenLifetime) },
    }),
    credential_source: isFile
      ? { file: `${files}/${tokenFile(name)}`, format: { type: 'text' } }
      : { url: `${tokenUrl}&audience=${encodeURIComponent(audience!)}`, headers: { Authorization: `Bearer ${tokenSecret}` }, format: { type: 'json', subject_token_field_name: 'value' } },
  };
}

const aws: ToolWords<AwsSpec> = {
  forms: ['file', 'endpoint'],
  trade: 'secrets.getAWSCredentials',
  traded: (credential, { spec }) => {
    const { accessKeyId, secretAccessKey, sessionToken } = credential as Readonly<Record<string, string>>;
    return { AWS_ACCESS_KEY_ID: accessKeyId!, AWS_SECRET_ACCESS_KEY: secretAccessKey!, AWS_SESSION_TOKEN: sessionToken!, ...regionOf(spec) };
  },
  environment: ({ spec, name, session, endpoint }, isFile) => {
    if (!isFile) return {};
    const sts = endpoint('aws_sts');
    return {
      AWS_ROLE_ARN: spec.roleArn, AWS_WEB_IDENTITY_TOKEN_FILE: `${files}/${tokenFile(name)}`, AWS_ROLE_SESSION_NAME: session,
      ...regionOf(spec), ...(sts === null ? {} : { AWS_ENDPOINT_URL_STS: sts }),
    };
  },
};

function regionOf({ region }: AwsSpec): Record<string, string> {
  return region === undefined ? {} : { AWS_REGION: region };
}

const azure: ToolWords<AzureSpec> = {
  forms: ['file', 'endpoint'],
  trade: 'secrets.getAzureAccessToken',
  traded: (token) => ({ AZURE_ACCESS_TOKEN: String(token) }),
  environment: ({ spec, name, endpoint }, isFile) =>
    isFile
      ? {
          AZURE_CLIENT_ID: spec.clientId, AZURE_TENANT_ID: spec.tenantId, AZURE_FEDERATED_TOKEN_FILE: `${files}/${tokenFile(name)}`,
          AZURE_AUTHORITY_HOST: `${endpoint('azure_authority') ?? azureClouds[spec.cloud].authority}/`,
        }
      : {},
};

const vault: ToolWords<VaultSpec> = {
  forms: ['variable', 'endpoint'],
  trade: 'secrets.getVaultToken',
  traded: (token, { spec }) => ({ VAULT_ADDR: spec.address, VAULT_TOKEN: String(token), ...(spec.namespace === undefined ? {} : { VAULT_NAMESPACE: spec.namespace }) }),
  environment: fileVariables,
};

const kubernetes: ToolWords<KubernetesSpec> = {
  forms: ['file', 'endpoint'],
  trade: null,
  environment: ({ name }, isFile) => (isFile ? { KUBECONFIG: `${files}/${name}.kubeconfig` } : {}),
  fixed: ({ spec, name }, isFile) => (isFile ? [{ name: `${name}.kubeconfig`, content: JSON.stringify(kubeconfig(spec, name)) }] : []),
  ofToken: ({ text, expiresAtMs }, { name }) => [{
    name: `${name}.credential.json`,
    content: JSON.stringify({
      apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential',
      status: { token: text, expirationTimestamp: new Date(expiresAtMs).toISOString().replace(/\.\d+/, '') },
    }),
  }],
};

/** JSON is YAML. `cat` is the exec plugin: it prints a credential with its end, and kubectl asks it again in time. */
function kubeconfig({ server, certificateAuthority }: KubernetesSpec, name: string): object {
  const authority = certificateAuthority === undefined ? {} : { 'certificate-authority-data': Buffer.from(certificateAuthority).toString('base64') };
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'cat', args: [`${files}/${name}.credential.json`], interactiveMode: 'Never' };
  return {
    apiVersion: 'v1', kind: 'Config', 'current-context': name,
    clusters: [{ name, cluster: { server, ...authority } }],
    users: [{ name, user: { exec } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
  };
}

const tools: { readonly [T in ConnectorSpec['type']]: ToolWords<Extract<ConnectorSpec, { type: T }>> } = {
  jwt, gcp_oidc: gcp, aws_oidc: aws, azure_oidc: azure, vault_jwt: vault, kubernetes_oidc: kubernetes,
};

export function toolsOf(spec: ConnectorSpec): ToolWords<ConnectorSpec> {
  return tools[spec.type] as ToolWords<ConnectorSpec>;
}
