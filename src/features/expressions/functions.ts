import { assert, refusal } from '#kernel/errors.ts';
import { parseJson } from '#kernel/json.ts';
import { dataDepthMax, valueBytesMax } from './limits.ts';
import type { ExpressionFunction, FunctionTable, Value } from './schema.ts';
import { dataFrom, memberOf, valueOf } from './value.ts';

const functionName = /^[a-z][A-Za-z0-9]*(?:\.[a-z][A-Za-z0-9]*)+$/;
const jsonLimits = { maxBytes: valueBytesMax, maxDepth: dataDepthMax, maxNodes: 100_000 };
const pathStep = /(?:^|(?<!^)\.)([^.[\]]+)|\[([0-9]{1,9})\]/y;

/** The functions of all features, checked once when the program starts: a wrong record is a defect. */
export function functionTable(functions: Iterable<ExpressionFunction>): FunctionTable {
  const table = new Map<string, ExpressionFunction>();
  for (const one of functions) {
    const { name, phase, parameters: { min, max } } = one;
    assert(functionName.test(name), `expression function \`${name}\`: a name has a space, \`space.name\``);
    assert(!table.has(name), `expression function \`${name}\` is contributed twice`);
    const isCallable = one.call !== undefined;
    assert((phase === 'plan') === isCallable, `expression function \`${name}\`: only plan functions have \`call\``);
    assert(0 <= min && min <= max, `expression function \`${name}\`: min is above max`);
    table.set(name, one);
  }
  return table;
}

/** The functions this feature offers itself. */
export const ownFunctions: readonly ExpressionFunction[] = [
  {
    name: 'json.select',
    phase: 'plan',
    parameters: { min: 2, max: 2 },
    summary: 'reads one place of a JSON text by a path of dots and indexes; `null` where there is nothing',
    example: '<+json.select("items[0].name", <+steps.list.output.outputVariables.body>)>',
    call: ([path, text]) => valueOf(select(path!, parsed(text!))),
  },
  {
    name: 'json.object',
    phase: 'plan',
    parameters: { min: 1, max: 1 },
    summary: 'makes an object or a list of a JSON text',
    example: '<+json.object(<+pipeline.variables.settings>).region>',
    call: ([text]) => valueOf(parsed(text!)),
  },
];

function parsed({ data }: Value): Value['data'] {
  if (typeof data === 'object' && data !== null) return data;
  if (typeof data !== 'string') throw refusal('expression.invalid', { say: 'JSON is read from text' });
  const read = parseJson(Buffer.from(data), jsonLimits);
  // The reader's own message may quote the text, which may be secret.
  if (read.problem !== undefined) {
    throw refusal('expression.invalid', { say: 'this text is not JSON, or has members twice, or nests too deep' });
  }
  return dataFrom(read.value);
}

function select({ data: path }: Value, root: Value['data']): Value['data'] {
  let at: Value['data'] = root;
  for (const key of stepsOf(path)) {
    const here: Value['data'] = at;
    const index = typeof key === 'string' && Array.isArray(here) && /^[0-9]{1,9}$/.test(key) ? Number(key) : key;
    const found = memberOf(here, index);
    if (found === undefined) return null;
    at = found;
  }
  return at;
}

function stepsOf(path: Value['data']): (string | number)[] {
  const steps: (string | number)[] = [];
  pathStep.lastIndex = 0;
  while (typeof path === 'string' && pathStep.lastIndex < path.length) {
    const step = pathStep.exec(path);
    if (step === null) break;
    steps.push(step[1] ?? Number(step[2]));
    if (pathStep.lastIndex === path.length) return steps;
  }
  throw refusal('expression.invalid', {
    say: 'a JSON path is names and indexes, `a.b[0].c`; filters and wildcards are not supported',
  });
}
