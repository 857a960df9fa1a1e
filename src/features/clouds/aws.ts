/** AWS: the security token service takes our token for credentials of a role (AssumeRoleWithWebIdentity). It answers in XML. */
import { parseXml, XmlElement } from '@rgrove/parse-xml';
import type { AwsSpec } from '#features/connectors/schema.ts';
import { durationSeconds } from '#kernel/marks.ts';
import type { CloudExchange, Trade } from './exchange.ts';
import { ask, isCredential, odd, refused } from './far-side.ts';

const name = 'AWS';

export const aws: CloudExchange<AwsSpec> = {
  type: 'aws_oidc',
  words: {
    name: 'secrets.getAWSCredentials',
    parameters: { min: 1, max: 1 },
    summary: 'credentials of a role of AWS: `accessKeyId`, `secretAccessKey`, `sessionToken`, `expiration`',
    example: '<+secrets.getAWSCredentials("account.aws_prod").accessKeyId>',
    kind: 'connector',
  },
  async trade(side, trade) {
    const { spec } = trade;
    const body = new URLSearchParams({
      Action: 'AssumeRoleWithWebIdentity', Version: '2011-06-15', RoleArn: spec.roleArn, RoleSessionName: trade.session,
      WebIdentityToken: trade.token, DurationSeconds: String(durationSeconds(spec.sessionDuration)),
    }).toString();
    const url = `${side.endpoint('aws_sts') ?? officialEndpoint(spec)}/`;
    const answer = await ask(side, { name, url, headers: { 'content-type': 'application/x-www-form-urlencoded' }, body, accept: ['text/xml', 'application/xml'] });
    const document = elementIn(answer.body);
    if (answer.status !== 200) throw refused(name, document === null ? null : textIn(document, ['Error', 'Code']), mended(trade), answer.status);
    const found = document === null ? null : elementAt(document, ['AssumeRoleWithWebIdentityResult', 'Credentials']);
    const [accessKeyId, secretAccessKey, sessionToken, expiration] = ['AccessKeyId', 'SecretAccessKey', 'SessionToken', 'Expiration'].map((field) => (found === null ? null : textIn(found, [field])));
    const expiresAtMs = Date.parse(expiration ?? '');
    if (!isCredential(accessKeyId!) || !isCredential(secretAccessKey!) || !isCredential(sessionToken!) || Number.isNaN(expiresAtMs)) throw odd(name);
    return { value: { accessKeyId, secretAccessKey, sessionToken, expiration: new Date(expiresAtMs).toISOString() }, expiresAtMs };
  },
};

/** https://docs.aws.amazon.com/general/latest/gr/sts.html: other partitions have domains of their own and no global endpoint. */
function officialEndpoint({ roleArn, region }: AwsSpec): string {
  const partition = roleArn.split(':')[1];
  if (partition === 'aws-cn') return `https://sts.${region ?? 'cn-north-1'}.amazonaws.com.cn`;
  if (partition === 'aws-us-gov') return `https://sts.${region ?? 'us-gov-west-1'}.amazonaws.com`;
  return region === undefined ? 'https://sts.amazonaws.com' : `https://sts.${region}.amazonaws.com`;
}

function mended({ spec, issuer, subject }: Trade<AwsSpec>): Readonly<Record<string, string>> {
  const account = spec.roleArn.split(':')[4];
  return {
    AccessDenied: `the trust policy of \`${spec.roleArn}\` does not allow \`sts:AssumeRoleWithWebIdentity\` to the subject \`${subject}\` and the audience \`${spec.audience}\`, or it lacks \`sts:TagSession\``,
    InvalidIdentityToken: `the account ${account} needs an OIDC provider for \`${issuer}\` with the audience \`${spec.audience}\``,
    ExpiredTokenException: 'it thinks that the token has expired: compare the clocks',
    IDPCommunicationError: `it could not fetch \`${issuer}/.well-known/openid-configuration\`: that must be reachable from there`,
    IDPRejectedClaim: 'a claim of the token is not one it takes',
    ValidationError: `the role \`${spec.roleArn}\` allows no session of ${spec.sessionDuration}`,
    PackedPolicyTooLarge: 'the session tags are too large together: name fewer in the connector',
    RegionDisabledException: 'its security token service is not active in this region for the account',
  };
}

/** Null when it is not XML. The parser knows no entities but the five of XML and fetches nothing. */
function elementIn(body: Uint8Array): XmlElement | null {
  try {
    return parseXml(Buffer.from(body).toString('utf8'), { ignoreUndefinedEntities: false }).root;
  } catch {
    return null;
  }
}

function elementAt(element: XmlElement, path: readonly string[]): XmlElement | null {
  return path.reduce<XmlElement | null>((at, wanted) => at?.children.find((child): child is XmlElement => child instanceof XmlElement && child.name === wanted) ?? null, element);
}

function textIn(element: XmlElement, path: readonly string[]): string | null {
  return elementAt(element, path)?.text.trim() ?? null;
}
