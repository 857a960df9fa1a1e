/** Vault and OpenBao: their JWT auth method takes our token for one of theirs. */
import type { VaultSpec } from '#features/connectors/schema.ts';
import type { CloudExchange } from './exchange.ts';
import { ask, documentIn, isCredential, odd, refused, secondsAt, textAt } from './far-side.ts';

const name = 'Vault';

export const vault: CloudExchange<VaultSpec> = {
  type: 'vault_jwt',
  words: {
    name: 'secrets.getVaultToken',
    parameters: { min: 1, max: 1 },
    summary: 'a token of Vault or OpenBao',
    example: '<+secrets.getVaultToken("account.vault")>',
    kind: 'connector',
  },
  async trade(side, { spec, token, issuer, now }) {
    const audience = spec.audience ?? spec.address;
    const url = `${spec.address.replace(/\/+$/, '')}/v1/auth/${spec.mount}/login`;
    const headers = { 'content-type': 'application/json', 'x-vault-request': 'true', ...(spec.namespace === undefined ? {} : { 'x-vault-namespace': spec.namespace }) };
    const answer = await ask(side, { name, url, headers, body: JSON.stringify({ role: spec.role, jwt: token }), accept: ['application/json'] });
    if (answer.status !== 200) {
      throw refused(name, String(answer.status), {
        400: `the role \`${spec.role}\` of \`auth/${spec.mount}\` is not there, or does not take the issuer \`${issuer}\`, the audience \`${audience}\` or a bound claim; its log says which`,
        403: `\`auth/${spec.mount}\` is not mounted there, or the role \`${spec.role}\` does not allow it`,
        404: `\`auth/${spec.mount}\` is not mounted there`,
      }, answer.status);
    }
    const document = documentIn(answer);
    const found = textAt(document, 'auth', 'client_token');
    if (!isCredential(found)) throw odd(name);
    // A token without an end is not kept for others.
    return { value: found, expiresAtMs: now.getTime() + (secondsAt(document, 'auth', 'lease_duration') ?? 0) * 1_000 };
  },
};
