/** Starts the application. See README.md. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { routesOf } from './application.ts';
import { DecisionPoint } from './decision-point.ts';
import { gateway } from './gateway.ts';
import { Registry } from './registry.ts';
import { Todos } from './todos.ts';

const { values: options } = parseArgs({
  options: {
    url: { type: 'string', default: 'http://127.0.0.1:8420' },
    account: { type: 'string', default: 'default' },
    scope: { type: 'string', default: 'studio' },
    'token-file': { type: 'string', default: 'todo-token' },
    'patience-ms': { type: 'string', default: '2000' },
    port: { type: 'string', default: '8430' },
    file: { type: 'string', default: 'todos.json' },
  },
});

const { url, account, scope } = options;
const token = readFileSync(options['token-file'], 'utf8').trim();
const patienceMs = Number(options['patience-ms']);

const decisionPoint = new DecisionPoint({ url: `${url}/accounts/${account}`, token, patienceMs });
const registry = new Registry({ url: `${url}/api/v1/accounts/${account}/orgs/${scope}`, token, patienceMs });
const todos = new Todos(options.file);
const routes = routesOf({ todos, decisionPoint, registry, scope });
const log = (line: string): void => void process.stderr.write(`${line}\n`);

const server = createServer(gateway({ routes, decisionPoint, scope, log }));
server.listen(Number(options.port), '127.0.0.1', () => {
  process.stdout.write(`todo ready http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
