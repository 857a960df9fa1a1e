/** What a step has by its identities: private files that are written anew, an endpoint of its own, and nothing afterwards. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import type { MadeToken, StepIdentities, StepPayload, TokenWish } from '#features/runners/schema.ts';
import { refusal } from '#kernel/errors.ts';
import type { RunnerHome } from './runner-process.ts';
import { RunnerWorld } from './runner-world.ts';

let world: RunnerWorld;
let home: RunnerHome;
before(async () => {
  world = await RunnerWorld.open();
  home = await world.home();
  await world.runner({ home });
});

const audience = 'https://cloud.example';
const cloud: TokenWish = { identity: 'CLOUD', audience };
const hour = 3_600_000;

function tokenText(number: number): string {
  return `eyJhbGciOiJSUzI1NiJ9.dG9rZW4tbnVtYmVyLW51bWJlci0${number}.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg${number}`;
}

/** Files and an endpoint of one identity, whose first token lives so long. */
function given({ lifeMs = hour, asked = [cloud] }: { readonly lifeMs?: number; readonly asked?: readonly TokenWish[] } = {}): Partial<StepPayload> {
  const identities: StepIdentities = {
    environment: { CLOUD_FILE: '${SALLYPORT_FILES}/CLOUD.jwt', KEY_FILE: '${SALLYPORT_FILES}/CLOUD.google.json' },
    files: [
      { name: 'CLOUD.jwt', content: tokenText(0), of: { ...cloud, lifeMs } },
      { name: 'CLOUD.google.json', content: '{"file":"${SALLYPORT_FILES}/CLOUD.jwt","url":"${SALLYPORT_TOKEN_URL}&audience=x"}', of: null },
    ],
    asked: [...asked],
  };
  return { identities, secrets: [{ name: 'identity CLOUD', value: tokenText(0) }] };
}

/** Tokens 1, 2, 3, … of the server, each of which lives so long. */
function tokens(lifeMs = hour): { readonly made: TokenWish[]; readonly token: (wish: TokenWish) => MadeToken } {
  const made: TokenWish[] = [];
  return {
    made,
    token: (wish) => {
      made.push(wish);
      const token = tokenText(made.length);
      return { token, lifeMs, files: [{ name: 'CLOUD.jwt', content: token }], secrets: [{ name: 'identity CLOUD', value: token }] };
    },
  };
}

function offer(script: string, step: Partial<StepPayload>, token?: (wish: TokenWish) => MadeToken): string {
  return world.desk.offer(world.server.account.id, { step: { shell: 'bash', ...step, script: `${world.gate.script}${shell}${script}` }, ...(token === undefined ? {} : { token }) });
}

/** What a script knows: `disguised` shows what the masker would hide; `ask QUERY [SECRET]` asks the endpoint. */
const shell = `
disguised() { tr 'A-Za-z' 'N-ZA-Mn-za-m'; echo; }
ask() {
  local place="\${ACTIONS_ID_TOKEN_REQUEST_URL#http://}"
  local host="\${place%%/*}"
  exec 8<>"/dev/tcp/\${host%:*}/\${host#*:}"
  printf 'GET /%s HTTP/1.1\\r\\nHost: step\\r\\nConnection: close\\r\\nAuthorization: Bearer %s\\r\\n\\r\\n' "\${place#*/}$1" "\${2-$ACTIONS_ID_TOKEN_REQUEST_TOKEN}" >&8
  cat <&8 | tr -d '\\r'
  echo
  exec 8<&-
}
`;
const undisguise = (text: string): string => text.replaceAll(/[A-Za-z]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) + (letter.toLowerCase() < 'n' ? 13 : -13)));

async function ended(attempt: string): Promise<string> {
  const { exit, message } = await world.ended(attempt);
  assert.equal(exit, 'success', `${message} ${world.log(attempt, 'stderr')}`);
  return world.log(attempt);
}

describe('files of identities', () => {
  test('are readable by the step alone, where its variables say, and gone when it has ended', async () => {
    const attempt = offer('stat -c "%a %F" "$CLOUD_FILE" "$KEY_FILE"; disguised <"$CLOUD_FILE"; grep -c "\\"file\\":\\"$CLOUD_FILE\\"" "$KEY_FILE"; gate inside', given());
    const inside = await world.gate.visit('inside');
    const directory = join(home.work, 'steps', attempt, 'files');
    assert.deepEqual(readdirSync(directory).toSorted(), ['CLOUD.google.json', 'CLOUD.jwt']);
    inside.go();
    const log = await ended(attempt);
    const [first, second, token, count] = log.split('\n');
    assert.deepEqual([first, second, count], ['600 regular file', '600 regular file', '1']);
    assert.equal(undisguise(token!), tokenText(0));
    assert.equal(existsSync(directory), false);
  });

  test('are masked when they are printed', async () => {
    assert.equal(await ended(offer('cat "$CLOUD_FILE"; echo; cut -d. -f2 "$CLOUD_FILE"', given())), '***\n***\n');
  });

  test('are written anew before their token ends, and the new one is masked before it is there', async () => {
    const server = tokens();
    const script = 'first="$(cat "$CLOUD_FILE")"; while [ "$(cat "$CLOUD_FILE")" = "$first" ]; do read -r -t 0.02 <> <(:) || :; done; cat "$CLOUD_FILE"; echo; disguised <"$CLOUD_FILE"; stat -c %a "$CLOUD_FILE"';
    const log = await ended(offer(script, given({ lifeMs: 900 }), server.token));
    const [masked, token, mode] = log.split('\n');
    assert.deepEqual([masked, undisguise(token!), mode], ['***', tokenText(1), '600']);
    assert.deepEqual(server.made, [cloud]);
  });

  test('whose token is over before the step begins are made anew first', async () => {
    const server = tokens();
    const log = await ended(offer('disguised <"$CLOUD_FILE"', given({ lifeMs: 0 }), server.token));
    assert.equal(undisguise(log.trim()), tokenText(1));
  });

  test('that cannot be written anew end the step', async () => {
    const refuse = (): never => {
      throw refusal('mint.refused', { say: 'the run may not use connector `account.cloud`, or it does not exist' });
    };
    const { exit, message } = await world.ended(offer('gate never', given({ lifeMs: 700 }), refuse));
    assert.deepEqual([exit, message], ['error', 'the token of the identity `CLOUD` cannot be had: the run may not use connector `account.cloud`, or it does not exist']);
  });
});

describe('the token endpoint of a step', () => {
  test('answers in the form that `@actions/core` reads, with a token that is masked already', async () => {
    const server = tokens();
    const log = await ended(offer(`ask "&audience=${audience}" | tail -n 1 >"$HOME/answer"; cat "$HOME/answer"; disguised <"$HOME/answer"`, given(), server.token));
    const [masked, answer] = log.split('\n');
    assert.equal(masked, `{"value":"***","count":${tokenText(1).length}}`);
    assert.deepEqual(JSON.parse(undisguise(answer!)), { value: tokenText(1), count: tokenText(1).length });
  });

  test('gives a young token again, and its only identity when none is named', async () => {
    const server = tokens();
    await ended(offer(`ask "" >/dev/null; ask "&identity=CLOUD" >/dev/null; ask "&audience=${audience}" >/dev/null`, given(), server.token));
    assert.deepEqual(server.made, [cloud]);
  });

  const attacks: readonly (readonly [says: string, ask: string, status: string])[] = [
    ['another secret', `"&audience=${audience}" wrong`, '401'],
    ['no secret', `"&audience=${audience}" ""`, '401'],
    ['an audience that is none of its identities', '"&audience=https://elsewhere.example"', '403'],
    ['an identity that the step has not', '"&identity=OTHER"', '403'],
    ['two audiences', `"&audience=${audience}&audience=https://elsewhere.example"`, '400'],
    ['a url that is too long', '"&audience=$(printf "%03000d" 0)"', '400'],
  ];
  test('refuses what is not of the step, which goes on', async () => {
    const server = tokens();
    const log = await ended(offer(attacks.map(([, ask]) => `ask ${ask} | head -n 1 | cut -d" " -f2`).join('\n'), given(), server.token));
    assert.deepEqual(log.trim().split('\n'), attacks.map(([, , status]) => status));
    assert.deepEqual(server.made, []);
  });

  test('does not know which is meant when there are several identities', async () => {
    const server = tokens();
    const log = await ended(offer('ask "" | head -n 1 | cut -d" " -f2', given({ asked: [cloud, { identity: 'OTHER', audience: 'https://other.example' }] }), server.token));
    assert.equal(log.trim(), '403');
  });

  test('has a secret that is masked', async () => {
    assert.equal(await ended(offer('echo "$ACTIONS_ID_TOKEN_REQUEST_TOKEN"', given())), '***\n');
  });

  test('is closed when the attempt has ended, and another step has another one', async () => {
    const log = await ended(offer('echo "$ACTIONS_ID_TOKEN_REQUEST_URL"; printf "%s" "$ACTIONS_ID_TOKEN_REQUEST_TOKEN" | disguised', given()));
    const [url, secret] = log.split('\n');
    await assert.rejects(fetch(url!, { headers: { authorization: `Bearer ${undisguise(secret!)}` } }), /fetch failed/);
    const next = await ended(offer(`ask "" '${undisguise(secret!)}' | head -n 1 | cut -d" " -f2`, given(), tokens().token));
    assert.equal(next.trim(), '401');
  });

  test('ends the step when the server refuses it a token', async () => {
    const { exit, message } = await world.ended(offer('ask "" | tail -n 1; gate never', given()));
    assert.equal(exit, 'error');
    assert.match(message!, /^the token of the identity `CLOUD` cannot be had/);
  });

  test('is not there for a step that has nothing to ask', async () => {
    assert.equal(await ended(offer('echo "${ACTIONS_ID_TOKEN_REQUEST_URL-none}"', given({ asked: [] }))), 'none\n');
  });
});

describe('files of identities, afterwards', () => {
  test('are gone with everything else when the runner was killed and comes back', async () => {
    const second = await world.home();
    await world.reset();
    const runner = await world.runner({ home: second });
    const attempt = offer('gate held', given());
    await world.gate.visit('held');
    const directory = join(second.work, 'steps', attempt);
    assert.ok(existsSync(join(directory, 'files', 'CLOUD.jwt')));
    await runner.kill();
    await world.runner({ home: second });
    assert.equal(existsSync(directory), false);
    assert.equal((await world.result(attempt)).exit, 'lost');
  });
});
