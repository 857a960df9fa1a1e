/** Identities of a step: its connector's tokens, in the variables and files that tools read. */
import type { ConnectorFacts, ConnectorSpec } from '#features/connectors/schema.ts';
import type { Minted, Minter } from '#features/mint/feature.ts';
import { mintAct, recordMinted } from '#features/mint/feature.ts';
import { assert, refusal } from '#kernel/errors.ts';
import { entryPath } from '#kernel/world.ts';
import type { Delivered, Delivery, GivenFile, GivenIdentity, IdentityGiver, IdentityUse, RenewedToken } from '#platform/delivery.ts';
import type { EndpointWord, Token, ToolWords, Wish } from './tool-words.ts';
import { tokenFile } from './tool-words.ts';
import { toolsOf } from './tools.ts';

export interface IdentityServices {
  readonly mint: Minter;
  /** Those of the clouds are among them. */
  readonly deliveries: readonly Delivery[];
  readonly endpoint: (name: EndpointWord) => string | null;
}

interface Asked {
  readonly words: ToolWords<ConnectorSpec>;
  readonly wish: Wish<ConnectorSpec>;
}

export function createIdentities(services: IdentityServices): IdentityGiver {
  return {
    give: (use) => give(services, use),
    renew: (use, audience) => renew(services, use, audience),
  };
}

async function give(services: IdentityServices, use: IdentityUse): Promise<GivenIdentity> {
  const { words, wish } = askedOf(services, use);
  const environment: Record<string, string> = {};
  const files: GivenFile[] = [];
  const secrets: string[] = [];
  const made: Pick<Delivered, 'act' | 'record'>[] = [];
  const expiresAtMs = new Map<string, number>();
  const isFile = wish.forms.has('file');
  if (wish.forms.has('variable') && words.trade !== null) {
    const delivered = await tradedBy(services, words.trade, use);
    made.push(delivered);
    secrets.push(...(typeof delivered.value === 'string' ? [delivered.value] : Object.values(delivered.value)));
    assert(words.traded !== undefined, 'a type trades and has no variables for it');
    Object.assign(environment, words.traded(delivered.value, wish));
  }
  if (isFile || (wish.forms.has('variable') && words.trade === null)) {
    for (const [variable, audience] of wish.audiences) {
      const minted = await services.mint({ ...use, args: [] }, audience);
      const token = tokenOf(minted);
      made.push(madeBy(minted));
      secrets.push(token.text);
      expiresAtMs.set(audience, token.expiresAtMs);
      if (isFile) files.push(...filesOf({ words, wish }, variable, token).map((file) => ({ ...file, audience })));
      if (wish.forms.has('variable') && words.trade === null) environment[variable] = token.text;
    }
  }
  if (isFile || wish.forms.has('endpoint')) {
    Object.assign(environment, words.environment(wish, isFile));
    files.push(...(words.fixed?.(wish, isFile) ?? []).map((file) => ({ ...file, audience: null })));
  }
  return { environment, files, expiresAtMs, secrets, made, asked: wish.forms.has('endpoint') ? askable(use) : [] };
}

/** A token for what the step asks at its endpoint, or for its files. */
async function renew(services: IdentityServices, use: IdentityUse, audience: string): Promise<RenewedToken> {
  const asked = askedOf(services, use);
  const { wish } = asked;
  const [variable] = [...wish.audiences].find(([, one]) => one === audience) ?? [];
  const mayAsk = wish.forms.has('endpoint') && askable(use).includes(audience);
  if (!mayAsk && !(wish.forms.has('file') && variable !== undefined)) {
    throw refusal('mint.refused', { say: `the identity \`${use.name}\` is not given a token for \`${audience.slice(0, 128)}\`` });
  }
  const minted = await services.mint({ ...use, args: [] }, audience);
  const token = tokenOf(minted);
  const files = wish.forms.has('file') && variable !== undefined ? filesOf(asked, variable, token) : [];
  return { token: token.text, expiresAtMs: token.expiresAtMs, files, ...madeBy(minted) };
}

function askedOf({ endpoint }: IdentityServices, use: IdentityUse): Asked {
  const { spec } = use.entry.facts as ConnectorFacts;
  if (JSON.stringify(spec).includes('${SALLYPORT_')) throw refusal('mint.refused', { say: `the connector \`${entryPath(use.entry)}\` has \`\${SALLYPORT_\` in its document, which means something to runners; write it in another way` });
  const unknown = use.audiences?.find((audience) => !(use.entry.facts as ConnectorFacts).audiences.includes(audience));
  if (unknown !== undefined) throw refusal('mint.refused', { say: `the connector \`${use.entry.identifier}\` has no audience \`${unknown.slice(0, 128)}\`` });
  const words = toolsOf(spec);
  const wish = { spec, name: use.name, audiences: variablesOf(use), forms: new Set(use.forms ?? words.forms), session: `sallyport-${use.facts.executionId}`, endpoint };
  return { words, wish };
}

/** What is minted for the step from its beginning, by the name of its variable; several audiences have each one of its own. */
function variablesOf({ name, audiences, entry }: IdentityUse): ReadonlyMap<string, string> {
  const [first] = (entry.facts as ConnectorFacts).audiences;
  if (audiences === null || audiences.length === 1) return new Map([[name, audiences?.[0] ?? first!]]);
  const named = new Map(audiences.map((audience) => [`${name}__${audience.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`, audience]));
  if (named.size < audiences.length) throw refusal('mint.refused', { say: `two audiences of the identity \`${name}\` have the same variable; make two identities of it` });
  return named;
}

function askable({ audiences, entry }: IdentityUse): readonly string[] {
  return audiences ?? (entry.facts as ConnectorFacts).audiences;
}

function filesOf({ words, wish }: Asked, variable: string, token: Token) {
  return [{ name: tokenFile(variable), content: token.text }, ...(words.ofToken?.(token, wish) ?? [])];
}

async function tradedBy({ deliveries }: IdentityServices, name: string, use: IdentityUse): Promise<Delivered> {
  const delivery = deliveries.find((each) => each.name === name);
  assert(delivery !== undefined, `nobody delivers ${name}`);
  return delivery.deliver({ ...use, args: [] });
}

function tokenOf({ token, claims }: Minted): Token {
  return { text: token, expiresAtMs: claims.exp * 1_000 };
}

function madeBy(minted: Minted): Pick<Delivered, 'act' | 'record'> {
  return { act: mintAct(minted), record: (tx) => recordMinted(tx, minted) };
}
