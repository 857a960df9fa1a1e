/** Entra, as far as client credentials with a federated assertion ask it. */
import { randomBytes } from 'node:crypto';
import type { Cloud, CloudAnswer } from './cloud.ts';
import { startCloud } from './cloud.ts';

export interface AzureApplication {
  readonly tenantId: string;
  readonly clientId: string;
  /** Of the federated credential: exact, as there. */
  readonly subject: (sub: string) => boolean;
  readonly audience: string;
}

function failure(status: number, error: string, code: number, description = 'no'): CloudAnswer {
  return { status, body: JSON.stringify({ error, error_description: `AADSTS${code}: ${description} Trace ID: t`, error_codes: [code] }) };
}

export function startAzure(application: AzureApplication): Promise<Cloud> {
  return startCloud(async ({ path, body }, verify) => {
    const form = new URLSearchParams(body);
    if (path !== `/${application.tenantId}/oauth2/v2.0/token`) return failure(400, 'invalid_request', 90002);
    if (form.get('client_id') !== application.clientId) return failure(400, 'unauthorized_client', 700016);
    if (form.get('grant_type') !== 'client_credentials' || form.get('client_assertion_type') !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer') return failure(400, 'invalid_request', 900144);
    if (form.get('scope')?.includes('unknown')) return failure(400, 'invalid_scope', 70011);
    try {
      const { sub } = await verify(form.get('client_assertion') ?? '', application.audience);
      if (!application.subject(sub!)) return failure(401, 'invalid_client', 700213, `No matching federated identity record found for ${sub}`);
    } catch (error) {
      return failure(401, 'invalid_client', 700211, String(error));
    }
    return { status: 200, body: JSON.stringify({ token_type: 'Bearer', expires_in: 3_599, ext_expires_in: 3_599, access_token: `eyJ.${randomBytes(60).toString('base64url')}` }) };
  });
}
