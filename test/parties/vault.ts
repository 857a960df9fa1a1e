/** The JWT auth method of Vault and OpenBao. */
import { randomBytes } from 'node:crypto';
import type { JWTPayload } from 'jose';
import type { Cloud, CloudAnswer } from './cloud.ts';
import { startCloud } from './cloud.ts';

export interface VaultRole {
  readonly mount: string;
  readonly name: string;
  readonly audience: () => string;
  readonly boundClaims: (claims: JWTPayload) => boolean;
}

const failure = (status: number, error: string): CloudAnswer => ({ status, body: JSON.stringify({ errors: [error] }) });

export function startVault(role: VaultRole): Promise<Cloud> {
  return startCloud(async ({ path, body, headers }, verify) => {
    if (path !== `/v1/auth/${role.mount}/login`) return failure(404, 'no handler for route');
    if (headers['x-vault-namespace'] !== undefined && headers['x-vault-namespace'] !== 'teams/a') return failure(404, 'no such namespace');
    const { role: named, jwt } = JSON.parse(body) as { role: string; jwt: string };
    if (named !== role.name) return failure(400, `role "${named}" could not be found`);
    try {
      const claims = await verify(jwt, role.audience());
      if (!role.boundClaims(claims)) return failure(400, 'error validating claims: claim "project_id" does not match any associated bound claim values');
    } catch (error) {
      return failure(400, `error validating token ${jwt}: ${String(error)}`);
    }
    return { status: 200, body: JSON.stringify({ auth: { client_token: `hvs.${randomBytes(40).toString('base64url')}`, accessor: 'a', policies: ['default'], lease_duration: 2_764_800, renewable: true } }) };
  });
}
