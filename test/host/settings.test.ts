import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { base, newPlace, refused, sallyport } from './sallyport.ts';

const url = 'postgres://nobody:secret-in-url@127.0.0.1:9/nothing';

function configFile(text: string): string {
  const path = newPlace('config.yaml');
  writeFileSync(path, text);
  return path;
}

describe('a server does not start', { concurrency: 2 }, () => {
  const data = join(base, 'never-made');
  const elsewhere = join(base, 'elsewhere', 'root.key');
  const cases: [string, number, string[], string, Record<string, string>?][] = [
    ['with an external database and the root key in the data directory', 1, ['--database-url', url], 'the root key must not lie in the data directory'],
    ['with a public URL and the root key in the data directory', 1, ['--public-url', 'https://sallyport.example'], 'the root key must not lie in the data directory'],
    ['with the root key below the data directory', 1, ['--database-url', url, '--root-key-file', join(data, 'keys', 'root.key')], 'the root key must not lie in the data directory'],
    ['with a public URL that is not https', 1, ['--public-url', 'http://sallyport.example', '--root-key-file', elsewhere], '`publicUrl` must be https outside loopback'],
    ['with a public URL that only looks like loopback', 1, ['--public-url', 'http://127.0.0.1.example', '--root-key-file', elsewhere], '`publicUrl` must be https outside loopback'],
    ['with a public URL that is not of the web', 1, ['--public-url', 'ftp://localhost'], '`publicUrl`: must be a URL such as `https://'],
    ['with a network longer than its addresses', 1, ['--trusted-proxies', '10.0.0.0/33'], '`trustedProxies`: must be an address or a network such as `10.0.0.0/8`'],
    ['with a name for a proxy', 1, [], '`trustedProxies`: must be an address or a network', { SALLYPORT_TRUSTED_PROXIES: '10.0.0.1,proxy.internal' }],
    ['with a private origin that is not of the web', 1, ['--allow-private-origin', 'ftp://10.0.0.1'], '`allowPrivateOrigin`: must be an origin'],
    ['with an unknown environment variable, and is told the near one', 1, [], 'did you mean `SALLYPORT_PORT`?', { SALLYPORT_PROT: '1' }],
    ['with an unknown setting in the file, and is told the near one', 1, ['--config', configFile('logLevle: debug\n')], 'did you mean `logLevel`?'],
    ['with a database URL in the file', 1, ['--config', configFile(`databaseUrl: ${url}\n`)], 'not in the configuration file'],
    ['with a file that is not there', 1, ['--config', join(base, 'absent.yaml')], 'absent.yaml` cannot be read'],
    ['with a database that does not answer', 4, ['--database-url', url, '--root-key-file', elsewhere], 'the database does not answer'],
    ['with an unknown flag, and is told the near one', 2, ['--databse-url', url], '--database-url'],
    ['with a word too many', 2, ['now'], 'too many arguments'],
  ];
  for (const [how, code, flags, says, environment] of cases) {
    test(how, async () => {
      const ended = await sallyport(['serve', '--data', data, '--port', '0', '--no-runner', ...flags], environment);
      assert.equal(ended.code, code, ended.stderr);
      assert.ok(ended.stderr.includes(says), `\`${ended.stderr}\` says \`${says}\``);
      assert.doesNotMatch(ended.stderr, /secret-in-url/);
      assert.doesNotMatch(ended.stdout, /ready/);
      assert.ok(!readdirSync(base).includes('never-made'), 'nothing was made');
    });
  }

  test('with the root key in the data directory through a link', async () => {
    const real = newPlace('real');
    mkdirSync(real, { mode: 0o700 });
    const link = newPlace('link');
    symlinkSync(real, link);
    await refused(['serve', '--data', link, '--port', '0', '--database-url', url, '--root-key-file', join(real, 'root.key')], 1, 'the root key must not lie in the data directory');
  });
});

describe('a command line that cannot be understood ends with 2', { concurrency: 2 }, () => {
  const cases: [string, string[]][] = [
    ['for an unknown command', ['sreve']],
    ['for a missing argument', ['account', 'create']],
    ['for a missing option', ['backup']],
    ['for an option without its value', ['serve', '--port']],
    ['for a rotation without a place for the new key', ['keys', 'rotate']],
  ];
  for (const [how, args] of cases) test(how, () => refused(args, 2, /error: /));

  test('and help ends with 0', async () => {
    for (const args of [['--help'], ['serve', '--help'], ['backup', '--help'], ['keys', 'rotate', '--help']]) assert.equal((await sallyport(args)).code, 0, args.join(' '));
  });
});
