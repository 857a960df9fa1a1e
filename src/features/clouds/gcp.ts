/**
 * Google Cloud: the security token service takes our token for a federated one (RFC 8693), and IAM Credentials that for a
 * token of the service account, when the connector names one.
 */
import type { GcpSpec } from '#features/connectors/schema.ts';
import { providerName } from '#features/connectors/schema.ts';
import { durationSeconds } from '#kernel/marks.ts';
import type { CloudCredential, CloudExchange, Trade } from './exchange.ts';
import type { FarSide } from './far-side.ts';
import { ask, documentIn, isCredential, odd, refused, secondsAt, textAt } from './far-side.ts';

const name = 'Google';
const json = ['application/json'];
const everything = 'https://www.googleapis.com/auth/cloud-platform';

export const gcp: CloudExchange<GcpSpec> = {
  type: 'gcp_oidc',
  words: {
    name: 'secrets.getGCPAccessToken',
    parameters: { min: 1, max: 1 },
    summary: 'an access token of Google Cloud, by workload identity federation',
    example: '<+secrets.getGCPAccessToken("account.gcp_prod")>',
    kind: 'connector',
  },
  async trade(side, trade) {
    const federated = await federatedToken(side, trade);
    return trade.spec.serviceAccountEmail === undefined ? federated : serviceAccountToken(side, trade, trade.spec.serviceAccountEmail, String(federated.value));
  },
};

async function federatedToken(side: FarSide, { spec, token, issuer, now }: Trade<GcpSpec>): Promise<CloudCredential> {
  const body = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    audience: providerName(spec),
    // What the service account's token is asked for counts then; to ask for it the federated one needs this.
    scope: spec.serviceAccountEmail === undefined ? spec.scopes.join(' ') : everything,
    requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    subject_token: token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
  }).toString();
  const url = `${side.endpoint('gcp_sts') ?? 'https://sts.googleapis.com'}/v1/token`;
  const answer = await ask(side, { name, url, headers: { 'content-type': 'application/x-www-form-urlencoded' }, body, accept: json });
  const document = documentIn(answer);
  if (answer.status !== 200) {
    throw refused(name, textAt(document, 'error'), {
      invalid_target: `there is no pool \`${spec.poolId}\` with a provider \`${spec.providerId}\` in the project ${spec.projectNumber}, or one of them is disabled`,
      invalid_grant: `the provider \`${spec.providerId}\` needs the issuer \`${issuer}\`, an audience that the token has, and a mapping of \`google.subject\``,
      unauthorized_client: `the attribute condition of the provider \`${spec.providerId}\` does not hold for the token`,
      invalid_scope: 'a scope of the connector is not known',
    }, answer.status);
  }
  return credential(textAt(document, 'access_token'), secondsAt(document, 'expires_in') ?? 3_600, now);
}

async function serviceAccountToken(side: FarSide, { spec, subject, now }: Trade<GcpSpec>, email: string, federated: string): Promise<CloudCredential> {
  const seconds = durationSeconds(spec.accessTokenLifetime);
  const url = `${side.endpoint('gcp_iam_credentials') ?? 'https://iamcredentials.googleapis.com'}/v1/projects/-/serviceAccounts/${encodeURIComponent(email)}:generateAccessToken`;
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${federated}` };
  const answer = await ask(side, { name, url, headers, body: JSON.stringify({ scope: spec.scopes, lifetime: `${seconds}s` }), accept: json });
  const document = documentIn(answer);
  if (answer.status !== 200) {
    const principal = `principal:${providerName(spec).slice(0, providerName(spec).indexOf('/providers/'))}/subject/${subject}`;
    throw refused(name, String(answer.status), {
      400: `\`${email}\` gives no token of ${spec.accessTokenLifetime}: more than \`1h\` needs the policy \`iam.allowServiceAccountCredentialLifetimeExtension\``,
      403: `\`${email}\` may not be used by \`${principal}\`: give it \`roles/iam.workloadIdentityUser\``,
      404: `there is no service account \`${email}\``,
    }, answer.status);
  }
  const expiresAtMs = Date.parse(textAt(document, 'expireTime') ?? '');
  return credential(textAt(document, 'accessToken'), Number.isNaN(expiresAtMs) ? seconds : (expiresAtMs - now.getTime()) / 1_000, now);
}

function credential(token: string | null, seconds: number, now: Date): CloudCredential {
  if (!isCredential(token)) throw odd(name);
  return { value: token, expiresAtMs: now.getTime() + seconds * 1_000 };
}
