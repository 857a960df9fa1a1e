import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';

export interface ServerCertificate {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

const ecdsaWithSha256 = Buffer.from('06082a8648ce3d040302', 'hex');
const commonName = Buffer.from('0603550403', 'hex');
const subjectAltName = Buffer.from('0603551d11', 'hex');
const basicConstraints = Buffer.from('0603551d13', 'hex');

/** A fresh self-signed P-256 certificate (RFC 5280) for servers in tests, valid 2000–2049; trust it as an extra CA. */
export function selfSignedCertificate(hosts: readonly string[]): ServerCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = der(0x30, ecdsaWithSha256);
  const name = der(0x30, der(0x31, der(0x30, commonName, der(0x0c, Buffer.from(`test ${hosts[0] ?? ''}`)))));
  const validity = der(0x30, der(0x17, Buffer.from('000101000000Z')), der(0x17, Buffer.from('491231235959Z')));
  const altNames = hosts.map((host) => isIPv4(host)
    ? der(0x87, Buffer.from(host.split('.').map(Number)))
    : der(0x82, Buffer.from(host)));
  const extensions = der(0xa3, der(0x30,
    der(0x30, basicConstraints, der(0x01, Buffer.of(0xff)), der(0x04, der(0x30, der(0x01, Buffer.of(0xff))))),
    der(0x30, subjectAltName, der(0x04, der(0x30, ...altNames)))));
  const serial = Buffer.concat([Buffer.of(1), randomBytes(8)]);
  const content = der(0x30, der(0xa0, der(0x02, Buffer.of(2))), der(0x02, serial), algorithm, name, validity, name,
    publicKey.export({ type: 'spki', format: 'der' }), extensions);
  const signature = der(0x03, Buffer.of(0), sign('sha256', content, privateKey));
  // Lines of 64, and no empty one at the end, which ends a certificate for some readers.
  const body = der(0x30, content, algorithm, signature).toString('base64').match(/.{1,64}/g)!.join('\n');
  return {
    certificatePem: `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`,
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const length = content.length < 0x80 ? Buffer.of(content.length)
    : content.length < 0x100 ? Buffer.of(0x81, content.length)
      : Buffer.of(0x82, content.length >> 8, content.length & 0xff);
  return Buffer.concat([Buffer.of(tag), length, content]);
}
