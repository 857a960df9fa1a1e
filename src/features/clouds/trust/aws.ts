/** AWS: an OIDC provider of the account, and the trust policy of the role. */
import type { AwsSpec } from '#features/connectors/schema.ts';
import type { Trust, TrustCheck, TrustWish } from './words.ts';
import { json, quoted, sameText } from './words.ts';

export function awsTrust({ spec, claims }: TrustWish<AwsSpec>): Trust {
  const [, partition, , , account] = spec.roleArn.split(':');
  const provider = claims.iss.replace(/^https?:\/\//, '');
  const tags = spec.sessionTags ?? [];
  // What only a run knows is an empty tag in no token.
  const pinned = tags.flatMap((name) => (typeof claims[name] === 'string' ? [[`aws:RequestTag/${name}`, claims[name]]] : []));
  const statement = {
    Effect: 'Allow',
    Principal: { Federated: `arn:${partition}:iam::${account}:oidc-provider/${provider}` },
    Action: tags.length === 0 ? ['sts:AssumeRoleWithWebIdentity'] : ['sts:AssumeRoleWithWebIdentity', 'sts:TagSession'],
    Condition: { StringEquals: { [`${provider}:aud`]: spec.audience, [`${provider}:sub`]: claims.sub, ...(Object.fromEntries(pinned) as Record<string, string>) } },
  };
  return {
    parts: [
      { title: 'the OIDC provider of the account', format: 'sh', text: `aws iam create-open-id-connect-provider --url ${quoted(claims.iss)} --client-id-list ${quoted(spec.audience)}\n` },
      { title: `the trust policy of \`${spec.roleArn}\``, format: 'json', text: json({ Version: '2012-10-17', Statement: [statement] }) },
    ],
    // It is asked for by https alone.
    check: (token) => [sameText('issuer', `https://${provider}`, token.iss), ...policyChecks(statement.Condition.StringEquals, provider, token)],
  };
}

/** Each line of the condition, asked of the token as AWS does: tags are those of the session, which are claims. */
function policyChecks(condition: Readonly<Record<string, string>>, provider: string, claims: TrustWish<AwsSpec>['claims']): TrustCheck[] {
  return Object.entries(condition).map(([key, wants]) => {
    const name = key.startsWith('aws:RequestTag/') ? key.slice('aws:RequestTag/'.length) : key.slice(provider.length + 1);
    return sameText(key, wants, claims[name] ?? '');
  });
}
