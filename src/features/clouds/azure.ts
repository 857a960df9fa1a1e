/** Azure: Entra takes our token as the assertion of an application (RFC 7523 §2.2, client credentials). */
import type { AzureSpec } from '#features/connectors/schema.ts';
import { azureClouds, azureScopes } from '#features/connectors/schema.ts';
import { refusal } from '#kernel/errors.ts';
import type { JsonValue } from '#kernel/json.ts';
import type { CloudExchange, Trade } from './exchange.ts';
import { ask, documentIn, isCredential, odd, refused, secondsAt, textAt } from './far-side.ts';

const name = 'Azure';

export const azure: CloudExchange<AzureSpec> = {
  type: 'azure_oidc',
  words: {
    name: 'secrets.getAzureAccessToken',
    parameters: { min: 1, max: 2 },
    summary: 'an access token of Azure, for a scope of the connector',
    example: '<+secrets.getAzureAccessToken("account.azure_prod")>',
    kind: 'connector',
  },
  async trade(side, trade) {
    const { spec, token, now } = trade;
    const body = new URLSearchParams({
      client_id: spec.clientId, scope: scopeOf(trade), grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: token,
    }).toString();
    const url = `${side.endpoint('azure_authority') ?? azureClouds[spec.cloud].authority}/${spec.tenantId}/oauth2/v2.0/token`;
    const answer = await ask(side, { name, url, headers: { 'content-type': 'application/x-www-form-urlencoded' }, body, accept: ['application/json'] });
    const document = documentIn(answer);
    if (answer.status !== 200) throw refused(name, codeIn(document) ?? textAt(document, 'error'), mended(trade), answer.status);
    const access = textAt(document, 'access_token');
    if (!isCredential(access)) throw odd(name);
    return { value: access, expiresAtMs: now.getTime() + (secondsAt(document, 'expires_in') ?? 3_600) * 1_000 };
  },
};

/** Only what the connector lists: its document says what a step may be given. */
function scopeOf({ spec, wish }: Trade<AzureSpec>): string {
  const scopes = azureScopes(spec);
  if (wish === null) return scopes[0]!;
  if (!scopes.includes(wish)) throw refusal('mint.refused', { say: `the connector has no scope \`${wish.slice(0, 128)}\`` });
  return wish;
}

/** `AADSTS700213: …` at the beginning of the description; the rest of it is not looked at. */
function codeIn(document: JsonValue): string | null {
  return textAt(document, 'error_description')?.match(/^AADSTS\d{4,8}(?=:)/)?.[0] ?? null;
}

function mended({ spec, issuer, subject }: Trade<AzureSpec>): Readonly<Record<string, string>> {
  const credential = `the application \`${spec.clientId}\` needs a federated credential with the issuer \`${issuer}\`, the subject \`${subject}\` and the audience \`${spec.audience}\``;
  return {
    AADSTS70021: credential, AADSTS700211: credential, AADSTS700212: credential, AADSTS700213: credential,
    AADSTS700016: `there is no application \`${spec.clientId}\` in the tenant \`${spec.tenantId}\``,
    AADSTS90002: `there is no tenant \`${spec.tenantId}\``,
    AADSTS700024: 'it thinks that the token is not yet, or no longer, valid: compare the clocks',
    AADSTS50166: `it could not fetch the keys of \`${issuer}\`: that must be reachable from there`,
    AADSTS70011: 'a scope of the connector is not known there',
    AADSTS500011: 'a scope of the connector is not known there',
    invalid_client: credential,
  };
}
