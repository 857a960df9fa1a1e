import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isTestFile, listSources, literalText, readSource, walk } from './source.ts';

/** What is wrong with a command named as evidence, or undefined: an npm script of package.json, or a command of the CLI. */
export function commandProblem(root: string, command: string): string | undefined {
  const words = command.trim().split(/\s+/);
  if (words[0] === 'npm') return npmProblem(root, words);
  if (words[0] === 'bin/sallyport') return cliProblem(root, words[1]);
  return 'name an npm script or a command of `bin/sallyport`';
}

function npmProblem(root: string, [, first, second]: readonly string[]): string | undefined {
  const name = first === 'run' ? second : first;
  const short = ['test', 'start'];
  if (name === undefined || (first !== 'run' && !short.includes(name))) return 'write `npm test`, `npm start` or `npm run <script>`';
  const { scripts = {} } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts?: Record<string, string> };
  return Object.hasOwn(scripts, name) ? undefined : `package.json has no script \`${name}\``;
}

function cliProblem(root: string, name: string | undefined): string | undefined {
  if (!existsSync(join(root, 'bin/sallyport'))) return 'there is no bin/sallyport';
  if (name === undefined) return 'name the command';
  return commandNames(root).has(name) ? undefined : `the CLI has no command \`${name}\``;
}

/** First words of what `.command('…')` declares anywhere in the CLI. */
function commandNames(root: string): Set<string> {
  const names = new Set<string>();
  const files = listSources(root, ['src']).filter((path) => !isTestFile(path));
  for (const path of files) {
    const source = readSource(root, path);
    if (!source.text.includes('.command(')) continue;
    walk(source.program, (node) => {
      if (node.type !== 'CallExpression' || node.callee.type !== 'MemberExpression') return;
      if (node.callee.property.type !== 'Identifier' || node.callee.property.name !== 'command') return;
      const [word] = literalText(node.arguments[0])?.split(' ') ?? [];
      if (word !== undefined) names.add(word);
    });
  }
  return names;
}
