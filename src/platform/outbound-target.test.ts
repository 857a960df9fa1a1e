import { test } from 'node:test';
import { match, ok, rejects, strictEqual, throws } from 'node:assert/strict';
import { Refusal } from '#kernel/errors.ts';
import type { ErrorCode } from '#kernel/errors.ts';
import { createOutbound } from '#platform/outbound.ts';
import type { Outbound, OutboundSettings } from '#platform/outbound.ts';

/** Where a call may go. None of these calls may connect anywhere: each is refused by its URL or by the resolved address. */

function call(outbound: Outbound, { url }: { readonly url: string }) {
  return outbound.request({ url, maxBytes: 65_536, timeoutMs: 20_000 });
}

async function refuses(code: ErrorCode, because: RegExp, work: Promise<unknown>): Promise<void> {
  await rejects(work, (error: unknown) => {
    ok(error instanceof Refusal, String(error));
    strictEqual(error.code, code, error.message);
    match(error.because ?? '', because);
    return error.say === undefined;
  });
}

const resolved: readonly (readonly [string, readonly string[]])[] = [
  ['loopback', ['127.0.0.1']], ['loopback of IPv6', ['::1']], ['private 10/8', ['10.0.0.1']], ['private 172.16/12', ['172.16.0.1']],
  ['private 192.168/16', ['192.168.0.1']], ['link-local', ['169.254.1.1']], ['cloud metadata', ['169.254.169.254']],
  ['cloud metadata of IPv6', ['fd00:ec2::254']], ['carrier-grade NAT', ['100.64.0.1']], ['unspecified', ['0.0.0.0']],
  ['unspecified of IPv6', ['::']], ['multicast', ['224.0.0.1']], ['broadcast', ['255.255.255.255']], ['unique local', ['fd00::1']],
  ['link-local with a zone', ['fe80::1%lo']], ['IPv4-mapped loopback', ['::ffff:127.0.0.1']], ['6to4 loopback', ['2002:7f00:1::']],
  ['NAT64 loopback', ['64:ff9b::7f00:1']], ['one private among public addresses', ['8.8.8.8', '1.1.1.1', '10.0.0.1']],
  ['text that is no address', ['localhost']], ['more addresses than anybody has', Array.from({ length: 65 }, () => '8.8.8.8')],
];

for (const [name, addresses] of resolved) {
  test(`a name that resolves to ${name} is refused`, async () => {
    const outbound = createOutbound({ allowPrivateOrigins: ['http://127.0.0.1:8420'], resolve: async () => addresses });
    await refuses('outbound.refused', /not public|not called/, call(outbound, { url: 'https://rebound.example:8420/' }));
  });
}

test('a refusal does not tell which private address a name has', async () => {
  const outbound = createOutbound({ allowPrivateOrigins: [], resolve: async () => ['10.11.12.13'] });
  await rejects(call(outbound, { url: 'https://idp.internal/' }), (error: unknown) => !JSON.stringify([error, String(error)]).includes('10.11.12'));
});

test('a name without addresses fails', async () => {
  const outbound = createOutbound({ allowPrivateOrigins: [], resolve: async () => [] });
  await refuses('outbound.failed', /no address/, call(outbound, { url: 'https://nowhere.example/' }));
});

const spelled: readonly (readonly [string, string])[] = [
  ['dotted loopback', 'https://127.0.0.1/'], ['decimal', 'https://2130706433/'], ['octal', 'https://0177.0.0.1/'],
  ['octal without dots', 'https://017700000001/'], ['hexadecimal', 'https://0x7f.0.0.1/'], ['hexadecimal without dots', 'https://0x7f000001/'],
  ['two parts', 'https://127.1/'], ['three parts', 'https://127.0.1/'], ['a trailing dot', 'https://127.0.0.1./'],
  ['full-width digits', 'https://\uff11\uff12\uff17.0.0.1/'], ['circled digits', 'https://\u2460\u2461\u2466.0.0.1/'],
  ['ideographic full stops', 'https://127\u30020\u30020\u30021/'], ['percent encoding', 'https://%31%32%37.0.0.1/'],
  ['zero', 'https://0/'], ['IPv6 loopback', 'https://[::1]/'], ['IPv6 unspecified', 'https://[::]/'],
  ['IPv4-mapped', 'https://[::ffff:127.0.0.1]/'], ['IPv4-compatible', 'https://[::7f00:1]/'], ['NAT64', 'https://[64:ff9b::7f00:1]/'],
  ['localhost', 'https://localhost/'], ['LOCALHOST', 'https://LOCALHOST/'], ['localhost with a trailing dot', 'https://localhost./'],
  ['a name below localhost', 'https://idp.localhost/'], ['a soft hyphen in localhost', 'https://local\u00adhost/'],
  ['an IPv6 zone', 'https://[fe80::1%25eth0]/'], ['an IPv6 zone without escape', 'https://[fe80::1%eth0]/'],
];

for (const [name, url] of spelled) {
  test(`an address spelled as ${name} is refused`, async () => {
    const outbound = createOutbound({ allowPrivateOrigins: ['http://127.0.0.1:8420'], resolve: async () => ['8.8.8.8'] });
    await refuses('outbound.refused', /not called|not public/, call(outbound, { url }));
  });
}

const urls: readonly (readonly [string, string])[] = [
  ['plain http to an origin that is not allowed', 'http://example.com/'],
  ['another port of an allowed host', 'http://127.0.0.1:1/'],
  ['another scheme on an allowed host', 'https://127.0.0.1:8420/'],
  ['another name of an allowed address', 'http://localhost:8420/'],
  ['a host that begins like an allowed one', 'http://127.0.0.1:8420.example/'],
  ['user information', 'https://user:pass@example.com/'],
  ['an allowed origin as user information', 'http://127.0.0.1:8420@example.com/'],
  ['an empty user name', 'https://:pass@example.com/'],
  ['a fragment', 'https://example.com/#x'],
  ['an empty fragment', 'https://example.com/#'],
  ['a trailing dot', 'https://example.com./'],
  ['port 0', 'https://example.com:0/'],
  ['file', 'file:///etc/passwd'], ['data', 'data:text/plain,x'], ['ftp', 'ftp://example.com/'], ['javascript', 'javascript:1'],
  ['no URL', 'example.com/x'], ['nothing', ''],
  ['a line break in the path', 'https://example.com/a\r\nHost: b'], ['a line break in the host', 'https://exa\nmple.com/'],
  ['a leading space', ' https://example.com/'], ['a NUL', 'https://example.com/\0'],
  ['more than 8,192 characters', `https://example.com/${'a'.repeat(8192)}`],
];

for (const [name, url] of urls) {
  test(`a URL with ${name} is refused`, async () => {
    const settings: OutboundSettings = { allowPrivateOrigins: ['http://127.0.0.1:8420'], resolve: async () => ['8.8.8.8'] };
    await refuses('outbound.refused', /not called/, call(createOutbound(settings), { url }));
  });
}

test('an allowed origin stays refused when it leads to an address that is no machine', async () => {
  for (const address of ['0.0.0.0', '::', '224.0.0.1', '255.255.255.255', 'x']) {
    const outbound = createOutbound({ allowPrivateOrigins: ['http://idp.internal'], resolve: async () => [address] });
    await refuses('outbound.refused', /not public/, call(outbound, { url: 'http://idp.internal/' }));
  }
});

for (const text of ['idp.internal', 'https://', 'https://idp.internal/path', 'https://idp.internal?x', 'https://u@idp.internal', 'ftp://idp.internal', '*', '']) {
  test(`\`${text}\` is not an origin to allow`, () => {
    throws(() => createOutbound({ allowPrivateOrigins: [text] }), (error: unknown) => error instanceof Refusal && error.code === 'config.invalid');
  });
}
