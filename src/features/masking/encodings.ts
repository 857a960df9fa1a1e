/**
 * How a value looks after the encodings that tools apply by themselves: in a header (base64), a URL, a JSON log, a dump. Each
 * form is what is certain of it, whatever stands around the value when it is encoded.
 */
import { withoutEdgeSpace } from './maskability.ts';

/** Shorter ones would be found in text that has nothing to do with the value. */
const minimumFormBytes = 8;
/** Longer values are files; all forms together have about ten times their length. */
const maximumEncodedBytes = 4 * 1024;

/** Every encoded form of `value` that differs from it, each once. None of a value that is a file. */
export function encodedForms(value: Uint8Array): Uint8Array[] {
  const bytes = Buffer.from(withoutEdgeSpace(value));
  if (bytes.length > maximumEncodedBytes) return [];
  const [hex, text] = [bytes.toString('hex'), bytes.toString('utf8')];
  const forms = new Set([...base64Forms(bytes), hex, hex.toUpperCase(), ...textForms(text)]);
  forms.delete(text);
  return [...forms].map((form) => Buffer.from(form)).filter((form) => form.length >= minimumFormBytes);
}

/**
 * RFC 4648 §4 and §5. Three bytes become four characters, so what precedes the value gives three forms. Left out are the
 * characters that hold bits of what stands before or behind it.
 */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const first = Math.ceil((before * 8) / 6);
    const form = encoded.slice(first, Math.floor(((before + bytes.length) * 8) / 6));
    return [form, form.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

/** Of text alone: what is no UTF-8 has none of these. */
function textForms(text: string): string[] {
  if (text.includes('\ufffd')) return [];
  const json = JSON.stringify(text).slice(1, -1);
  const [url, strict] = [encodeURIComponent(text), strictUrl(text)];
  const urls = [url, strict, url.replaceAll('%20', '+'), strict.replaceAll('%20', '+'), new URLSearchParams([['', text]]).toString().slice(1)];
  return [json, json.replaceAll('/', '\\/'), json.replaceAll(/[\u0080-\uffff]/g, unicodeEscape), ...urls, ...urls.map(lowerEscapes)];
}

function unicodeEscape(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function lowerEscapes(url: string): string {
  return url.replaceAll(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase());
}

/** RFC 3986 §2.2 reserves some that JavaScript leaves as they are; other languages escape them. */
function strictUrl(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}
