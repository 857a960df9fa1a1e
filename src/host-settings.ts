/** Settings as flags of commands, and the frame of the commands that open the host's part of the product. */
import type { Config, SettingName } from '#platform/config.ts';
import { describeSetting, listSettings, readConfig, settingNames } from '#platform/config.ts';
import { createLog } from '#platform/log.ts';
import type { Log } from '#platform/log.ts';
import type { CommandInput, CommandOption, CommandRecord } from './surfaces/command-line.ts';
import type { Host } from './host.ts';
import { openHost, refuseNothingThere } from './host.ts';

const switches = new Set<SettingName>(['runner', 'unsafeLocalRunner']);

/** Every setting is a flag of `serve`; a switch that is on by default is turned off by `--no-…`. */
function settingOption(name: SettingName): CommandOption {
  const { flag, help, fallback } = describeSetting(name);
  const shown = fallback === undefined || Array.isArray(fallback) || switches.has(name) ? help : `${help} (default ${String(fallback)})`;
  if (name === 'runner') return { flags: '--no-runner', help: 'start no local runner' };
  if (switches.has(name)) return { flags: flag, help: shown };
  return { flags: `${flag} <value>`, help: shown, ...(listSettings.has(name) ? { repeatable: true as const } : {}) };
}

const configOption: CommandOption = { flags: '--config <file>', help: 'configuration file' };

/** What a command on the host must know. */
export const hostSettings: readonly SettingName[] = ['data', 'databaseUrl', 'rootKeyFile', 'logLevel'];

export function settingOptions(names: readonly SettingName[] = settingNames): readonly CommandOption[] {
  return [...names.map(settingOption), configOption];
}

/** Reads the settings a command was given by flags, environment and file. */
export function configOf({ options }: CommandInput, names: readonly SettingName[] = settingNames): Config {
  const given = Object.fromEntries(names.map((name) => [name, options[name]]));
  // Commander knows `--no-runner` as `runner: false`, and `runner: true` when it was not given.
  if (given['runner'] === true) delete given['runner'];
  return readConfig({ flags: given, configFile: options['config'] as string | undefined });
}

/** A command answers on its own; its log is for what is wrong. */
export function commandLog(config: Config): Log {
  return createLog(config.logLevel === 'info' ? 'warn' : config.logLevel);
}

type HostCommand = Omit<CommandRecord, 'run'> & {
  /** True: no server may work in the data directory meanwhile. */
  readonly alone?: true;
  /** True: makes the data where there is none. */
  readonly begins?: true;
  readonly run: (opened: Host, input: CommandInput, config: Config) => Promise<number | void>;
};

/** A command that works with the database and the keys. */
export function hostCommand({ alone, begins, run, ...record }: HostCommand): CommandRecord {
  return {
    ...record,
    options: [...(record.options ?? []), ...settingOptions(hostSettings)],
    run: async (input) => {
      const config = configOf(input, hostSettings);
      if (begins !== true) await refuseNothingThere(config);
      const opened = await openHost(config, commandLog(config), { besideServer: alone !== true, progress: input.terminal.progress });
      try {
        return await run(opened, input, config);
      } finally {
        await opened.close();
      }
    },
  };
}
