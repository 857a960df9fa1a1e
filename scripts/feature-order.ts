import type { ArrayExpression, Node } from 'oxc-parser';
import { importsOf, resolver } from './imports.ts';
import { literalText, readSource, walk } from './source.ts';
import type { Source } from './source.ts';

const app = 'src/app.ts';

/**
 * The features in rank order, as the array named `features` in `src/app.ts` has them. Its elements are names of folders
 * in `src/features` as strings, or things (or calls of things) that `src/app.ts` imports from there. Throws if the array
 * cannot be read.
 */
export function featureOrder(root: string): string[] {
  const source = readSource(root, app);
  const array = arrayNamed(source, 'features');
  if (!array) throw new Error(`${app}: there is no array named \`features\`, which gives the features their rank`);
  const folders = featureOfName(root, source);
  const order = array.elements.map((element) => {
    const name = element === null ? undefined : nameOf(element);
    const feature = literalText(element) ?? (name === undefined ? undefined : folders.get(name));
    if (feature !== undefined) return feature;
    throw new Error(`${app}:${source.lineAt(element?.start ?? array.start)}: an element of \`features\` is neither a string nor imported from a feature`);
  });
  const twice = order.find((feature, at) => order.indexOf(feature) !== at);
  if (twice !== undefined) throw new Error(`${app}: \`${twice}\` is twice in the array \`features\``);
  return order;
}

function arrayNamed(source: Source, name: string): ArrayExpression | undefined {
  let found: ArrayExpression | undefined;
  walk(source.program, (node) => {
    if (node.type !== 'VariableDeclarator' || node.id.type !== 'Identifier' || node.id.name !== name || !node.init) return;
    const value = withoutTypes(node.init);
    if (value.type === 'ArrayExpression') found ??= value;
  });
  return found;
}

function withoutTypes(node: Node): Node {
  return node.type === 'TSAsExpression' || node.type === 'TSSatisfiesExpression' ? withoutTypes(node.expression) : node;
}

function nameOf(node: Node): string | undefined {
  if (node.type === 'Identifier') return node.name;
  if (node.type === 'CallExpression') return nameOf(node.callee);
  if (node.type === 'MemberExpression') return nameOf(node.object);
  return undefined;
}

function featureOfName(root: string, source: Source): Map<string, string> {
  const targets = new Map(importsOf(source, resolver(root)).map((one) => [one.specifier, one.target]));
  const features = new Map<string, string>();
  walk(source.program, (node) => {
    if (node.type !== 'ImportDeclaration') return;
    const feature = /^src\/features\/([^/]+)\//.exec(targets.get(node.source.value) ?? '')?.[1];
    if (feature !== undefined) for (const specifier of node.specifiers) features.set(specifier.local.name, feature);
  });
  return features;
}
