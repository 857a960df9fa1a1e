import { describeSetting, settingNames } from '#platform/config.ts';

/** The page of all settings, from their schema. */
export function settingsPage(): string {
  return `<!-- Derived from src/platform/config.ts by \`npm run derive\`. Do not edit. -->

# Settings

A setting is a flag of \`serve\`, a variable of its environment, or a key of the configuration file that \`--config\` or
\`SALLYPORT_CONFIG\` names (YAML). The flag counts before the variable, the variable before the file, the file before the
default. Unknown names are refused, and so are combinations that are not safe. In a variable, a list is written with
commas; a flag is repeated.

| flag | variable | in the file | values | default | |
|---|---|---|---|---|---|
${settingNames.map(row).join('\n')}

The switch \`runner\` is turned off by \`--no-runner\`.

The file holds no secrets: a database URL in it is refused. As a flag, other users of the host can see a URL and the
password in it. So there are variables besides those above:

| variable | |
|---|---|
| \`SALLYPORT_DATABASE_URL_FILE\` | file that holds the URL of the external database |
| \`SALLYPORT_BOOTSTRAP_TOKEN\`, \`SALLYPORT_BOOTSTRAP_TOKEN_FILE\` | token of an unattended installation, read at the first start only; 32 to 512 characters |
`;
}

function row(name: (typeof settingNames)[number]): string {
  const { flag, variable, values, fallback, help } = describeSetting(name);
  const shown = fallback === undefined || (Array.isArray(fallback) && fallback.length === 0) ? '' : `\`${String(fallback)}\``;
  return `| \`${name === 'runner' ? '--no-runner' : flag}\` | \`${variable}\` | \`${name}\` | ${values} | ${shown} | ${help.replaceAll('|', '\\|')} |`;
}
