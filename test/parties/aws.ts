/** AWS's security token service, as far as AssumeRoleWithWebIdentity asks it. */
import { randomBytes } from 'node:crypto';
import type { JWTPayload } from 'jose';
import type { Cloud, CloudAnswer } from './cloud.ts';
import { startCloud } from './cloud.ts';

export interface AwsRole {
  readonly arn: string;
  readonly audience: string;
  /** The trust policy's condition. */
  readonly trusts: (claims: JWTPayload) => boolean;
  readonly maxSeconds: number;
}

const namespace = 'https://sts.amazonaws.com/doc/2011-06-15/';
const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

function failure(status: number, code: string, message = 'no'): CloudAnswer {
  return { status, type: 'text/xml', body: `<ErrorResponse xmlns="${namespace}"><Error><Type>Sender</Type><Code>${code}</Code><Message>${escape(message)}</Message></Error><RequestId>r</RequestId></ErrorResponse>` };
}

export function startAws(roles: readonly AwsRole[]): Promise<Cloud> {
  return startCloud(async ({ body }, verify) => {
    const form = new URLSearchParams(body);
    const role = roles.find(({ arn }) => arn === form.get('RoleArn'));
    // Without a wish it is an hour, as there.
    const seconds = Number(form.get('DurationSeconds') ?? 3_600);
    if (form.get('Action') !== 'AssumeRoleWithWebIdentity' || form.get('Version') !== '2011-06-15') return failure(400, 'InvalidAction');
    if (!/^[\w+=,.@-]{2,64}$/.test(form.get('RoleSessionName') ?? '')) return failure(400, 'ValidationError');
    if (role === undefined) return failure(403, 'AccessDenied');
    let claims: JWTPayload;
    try {
      claims = await verify(form.get('WebIdentityToken') ?? '', role.audience);
    } catch (error) {
      return failure(400, 'InvalidIdentityToken', `${form.get('WebIdentityToken')}: ${String(error)}`);
    }
    if (!role.trusts(claims)) return failure(403, 'AccessDenied');
    if (seconds < 900 || seconds > role.maxSeconds) return failure(400, 'ValidationError');
    const [key, secret, session] = [`ASIA${randomBytes(8).toString('hex').toUpperCase()}`, randomBytes(30).toString('base64'), randomBytes(200).toString('base64')];
    return {
      status: 200, type: 'text/xml',
      body: `<AssumeRoleWithWebIdentityResponse xmlns="${namespace}"><AssumeRoleWithWebIdentityResult><SubjectFromWebIdentityToken>${escape(claims.sub!)}</SubjectFromWebIdentityToken><Audience>${role.audience}</Audience><AssumedRoleUser><Arn>${role.arn}</Arn></AssumedRoleUser><Credentials><SessionToken>${session}</SessionToken><SecretAccessKey>${secret}</SecretAccessKey><Expiration>${new Date(Date.now() + seconds * 1_000).toISOString()}</Expiration><AccessKeyId>${key}</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
    };
  });
}
