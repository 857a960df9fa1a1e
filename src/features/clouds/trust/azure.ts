/** Azure: a federated credential of the application. Entra compares issuer, subject and audience as whole texts. */
import type { AzureSpec } from '#features/connectors/schema.ts';
import type { Trust, TrustWish } from './words.ts';
import { json, quoted, sameText } from './words.ts';

export function azureTrust({ spec, claims, connector }: TrustWish<AzureSpec>): Trust {
  const known = ['project_id', 'pipeline_id', 'environment_id'].flatMap((name) => (typeof claims[name] === 'string' ? [claims[name]] : []));
  const credential = {
    name: ['sallyport', ...known].join('-').replaceAll(/[^A-Za-z0-9_-]/g, '-').slice(0, 120),
    issuer: claims.iss, subject: claims.sub, audiences: [spec.audience], description: `connector ${connector}`.slice(0, 600),
  };
  const text = json(credential);
  return {
    parts: [
      { title: `the federated credential of the application \`${spec.clientId}\``, format: 'json', text },
      { title: 'the same by az, with the text above in `credential.json`', format: 'sh', text: `az ad app federated-credential create --id ${quoted(spec.clientId)} --parameters credential.json\n` },
    ],
    check: (token) => [
      sameText('issuer', credential.issuer, token.iss), sameText('subject', credential.subject, token.sub), sameText('audience', spec.audience, token.aud),
    ],
  };
}
