/** `sallyport keys rotate`. */
import { resolve } from 'node:path';
import { recordByOperator } from '#features/audit/feature.ts';
import { refusal } from '#kernel/errors.ts';
import { loadRootKey } from '#platform/keyring.ts';
import { rotateRootKey } from '#platform/root-key-rotation.ts';
import { refuseExposedKey } from '#platform/config.ts';
import { hostCommand } from './host-settings.ts';

export const rotateCommand = hostCommand({
  name: 'keys rotate',
  summary: 'wrap all data keys with a new root key; no server may work on the data meanwhile',
  options: [{ flags: '--new-root-key-file <file>', help: 'where the new root key is, or is made with mode 0600', required: true }],
  data: true,
  alone: true,
  run: async (opened, { options, terminal, json }, config) => {
    const path = resolve(String(options['newRootKeyFile']));
    if (path === config.rootKeyFile) throw refusal('config.invalid', { say: '`--new-root-key-file` names the present key; name another file' });
    refuseExposedKey({ ...config, rootKeyFile: path });
    const newKey = await loadRootKey(path, { create: true, randomness: opened.randomness });
    terminal.progress('wrapping the data keys');
    const rewrapped = await rotateRootKey({
      ...opened, oldKey: opened.rootKey, newKey, nodeId: opened.node.id,
      alsoWrite: async (tx, accountIds) => {
        for (const accountId of accountIds) {
          const resource = { kind: 'root_key', uid: newKey.id, path: newKey.id };
          await recordByOperator(tx, opened, accountId, { action: 'root_key.rotate', resource, detail: { from: opened.rootKey.id } });
        }
      },
    });
    if (json) return terminal.print(JSON.stringify({ oldRootKey: opened.rootKey.id, newRootKey: newKey.id, newRootKeyFile: path, dataKeys: rewrapped }));
    terminal.print(`${rewrapped} data keys are wrapped with the root key ${newKey.id}`);
    terminal.print(`start every server with --root-key-file ${path}`);
    terminal.print(`keep ${config.rootKeyFile} as long as you keep backups made until now; nothing else needs it`);
  },
});
