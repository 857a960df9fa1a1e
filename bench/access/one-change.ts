/** One change of access in a large world: applied, and seen by the next check. The floor is a whole load. */
import { evaluate } from '#features/access/feature.ts';
import type { World, WorldChange } from '#kernel/world.ts';
import { accountScope } from '#kernel/scope.ts';
import { accessWorld, now } from '../access-world.ts';
import type { AccessWorld, Size } from '../access-world.ts';
import { AccessLoad } from '../floor/access-load.ts';
import { interleave, processorSeconds } from '../result.ts';
import { EntryMaker } from './entries.ts';
import type { Ask } from './questions.ts';
import { collect } from './load-time.ts';
import { questionsOf } from './questions.ts';
import type { BindingRecord } from './records.ts';
import type { Figures } from './rates.ts';

const loads = 3;
/** On and off again, until this has taken its time. */
const maxPairs = 50;
const enoughMs = 200;

interface Toggle {
  readonly name: string;
  readonly ask: Ask;
  readonly on: WorldChange;
  readonly off: WorldChange;
}

/** In ms of processor time, for a change and the next check of somebody it concerns. */
export async function measureChange(size: Size): Promise<Figures[]> {
  const source = accessWorld(size);
  const bindings = [...source.bindings()];
  const records = { ...source, bindings: () => bindings };
  const world = source.world();
  const floor = (): number => {
    collect();
    return processorSeconds(() => void new AccessLoad(records)) * 1e3;
  };
  const figures: Figures[] = [];
  for (const toggle of toggles(source, world)) {
    const ours = (): number => timeOf(world, source, toggle);
    figures.push({ case: `${size}: one change of a ${toggle.name}, ms, against a load`, aim: '≤ 0.01×', ...(await interleave({ rounds: loads, candidates: { floor, ours } })) });
  }
  return figures;
}

function timeOf(world: World, { kinds }: AccessWorld, { name, ask, on, off }: Toggle): number {
  const start = performance.now();
  let changes = 0;
  const seconds = processorSeconds(() => {
    while (changes < 2 * maxPairs && (changes % 2 === 1 || performance.now() - start < enoughMs)) {
      const isOn = changes % 2 === 0;
      world.apply([isOn ? on : off], world.revision + 1);
      const { allowed } = evaluate(world, kinds, ask.asker, ask.question, now);
      if (allowed !== isOn) throw new Error(`after a change of a ${name} the next check says ${allowed}`);
      changes += 1;
    }
  });
  return (seconds / changes) * 1e3;
}

/** Three ways for somebody to get what was refused; the role and the group are in use all over the account. */
function toggles(source: AccessWorld, world: World): Toggle[] {
  const make = new EntryMaker(source.kinds);
  const ask = refused(source, world);
  const everything = 'builtin:resource_group:all_resources_including_child_scopes';
  const binding = (uid: string, parts: Pick<BindingRecord, 'principal' | 'roleUid'>): WorldChange => {
    return { put: make.binding({ uid, scope: accountScope, identifier: uid.replaceAll('-', '_'), resourceGroupUid: everything, disabled: false, expiresAtMs: null, ...parts }) };
  };
  const principal = { type: 'user', uid: ask.asker.principal.uid } as const;
  const admin = 'builtin:role:account_admin';
  const role = source.roles.find((one) => one.level === 'account' && !one.builtIn && !one.permissions.includes(ask.question.permission))!;
  const group = source.groups.find((one) => one.scope === accountScope && one.members.length > 0 && !one.members.some(({ uid }) => uid === principal.uid))!;
  world.apply([binding('bench-role', { principal, roleUid: role.uid }), binding('bench-group', { principal: { type: 'user_group', uid: group.uid }, roleUid: admin })], 2);
  return [
    { name: 'binding', ask, on: binding('bench-binding', { principal, roleUid: admin }), off: { remove: 'bench-binding' } },
    { name: 'membership', ask, on: { put: make.group({ ...group, members: [...group.members, principal] }) }, off: { put: make.group(group) } },
    { name: 'role', ask, on: { put: make.role({ ...role, permissions: [...role.permissions, ask.question.permission] }) }, off: { put: make.role(role) } },
  ];
}

/** A question that only lacks a grant, of a user. */
function refused(source: AccessWorld, world: World): Ask {
  const asks = questionsOf(source, { count: 1_000 });
  const { kinds } = source;
  return asks.find(({ asker, question }) => {
    if (asker.principal.type !== 'user' || kinds.permission(question.permission)?.noun.name !== question.target.kind || !world.hasScope(question.target.scope)) return false;
    const { allowed, reasons } = evaluate(world, kinds, asker, question, now);
    return !allowed && reasons.every(({ code }) => code !== 'unknown_principal');
  })!;
}
