/** Google Cloud's security token service and IAM Credentials, as far as workload identity federation asks them. */
import { randomBytes } from 'node:crypto';
import type { JWTPayload } from 'jose';
import type { Cloud, CloudAnswer, CloudRequest, Verify } from './cloud.ts';
import { startCloud } from './cloud.ts';

export interface GcpOptions {
  readonly projectNumber: string;
  readonly poolId: string;
  readonly providerId: string;
  /** The attribute condition of the provider. */
  readonly condition?: (claims: JWTPayload) => boolean;
  /** Service account → subjects that may act as it. */
  readonly serviceAccounts?: Readonly<Record<string, (subject: string) => boolean>>;
}

export interface Gcp extends Cloud {
  /** Whose token it is: a service account, or a subject; undefined = not given out. */
  readonly holder: (accessToken: string) => string | undefined;
}

const json = (status: number, body: object): CloudAnswer => ({ status, body: JSON.stringify(body) });

export async function startGcp(options: GcpOptions): Promise<Gcp> {
  const provider = `//iam.googleapis.com/projects/${options.projectNumber}/locations/global/workloadIdentityPools/${options.poolId}/providers/${options.providerId}`;
  const holders = new Map<string, string>();
  const give = (holder: string): string => {
    const token = `ya29.${randomBytes(48).toString('base64url')}`;
    holders.set(token, holder);
    return token;
  };

  async function exchange({ body }: CloudRequest, verify: Verify): Promise<CloudAnswer> {
    const form = new URLSearchParams(body);
    if (form.get('audience') !== provider) return json(400, { error: 'invalid_target', error_description: 'The target service indicated by the "audience" parameters is invalid.' });
    const expected = { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', requested_token_type: 'urn:ietf:params:oauth:token-type:access_token', subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' };
    if (Object.entries(expected).some(([name, value]) => form.get(name) !== value)) return json(400, { error: 'invalid_request' });
    let claims: JWTPayload;
    try {
      claims = await verify(form.get('subject_token') ?? '', `https:${provider}`);
    } catch (error) {
      return json(400, { error: 'invalid_grant', error_description: `the credential ${form.get('subject_token')} is bad: ${String(error)}` });
    }
    if (Buffer.byteLength(claims.sub!) > 127) return json(400, { error: 'invalid_grant', error_description: 'google.subject is too long' });
    if (options.condition !== undefined && !options.condition(claims)) return json(401, { error: 'unauthorized_client', error_description: 'The given credential is rejected by the attribute condition.' });
    return json(200, { access_token: give(claims.sub!), issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', token_type: 'Bearer', expires_in: 3_599 });
  }

  function impersonate({ path, headers, body }: CloudRequest): CloudAnswer {
    const email = decodeURIComponent(path.slice('/v1/projects/-/serviceAccounts/'.length, -':generateAccessToken'.length));
    const may = options.serviceAccounts?.[email];
    if (may === undefined) return json(404, { error: { code: 404, status: 'NOT_FOUND' } });
    const subject = holders.get(headers.authorization?.replace('Bearer ', '') ?? '');
    if (subject === undefined || !may(subject)) return json(403, { error: { code: 403, status: 'PERMISSION_DENIED' } });
    const { lifetime, scope } = JSON.parse(body) as { lifetime: string; scope: string[] };
    if (!Array.isArray(scope) || scope.length === 0 || Number.parseInt(lifetime, 10) > 3_600) return json(400, { error: { code: 400, status: 'INVALID_ARGUMENT' } });
    return json(200, { accessToken: give(email), expireTime: new Date(Date.now() + Number.parseInt(lifetime, 10) * 1_000).toISOString().replace(/\.\d+/, '') });
  }

  const cloud = await startCloud(async (request, verify) => {
    if (request.path === '/v1/token') return exchange(request, verify);
    if (request.path.endsWith(':generateAccessToken')) return impersonate(request);
    return json(404, {});
  });
  return { ...cloud, holder: (token) => holders.get(token) };
}
