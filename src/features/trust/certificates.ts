/** Certificates of authorities as they are written into a document. */
import { X509Certificate } from 'node:crypto';

const maxCertificates = 10;
const block = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** One to ten certificates in PEM that can be read, and nothing else but white space: no key that somebody copied along. */
export function isCertificates(text: string): boolean {
  const found = text.match(block) ?? [];
  return found.length > 0 && found.length <= maxCertificates && text.replaceAll(block, '').trim() === '' && found.every(canBeRead);
}

function canBeRead(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}
