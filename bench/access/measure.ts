/**
 * One case in a process of its own, so that no world disturbs another: `measure.ts CASE SIZE PEER…` prints its figures as
 * JSON. The peers are those that are installed.
 */
import type { Size } from '../access-world.ts';
import { shapes } from '../access-world.ts';
import { checkAgreement } from './agreement.ts';
import { measureHeap } from './heap.ts';
import { measureLoad } from './load-time.ts';
import { measureChange } from './one-change.ts';
import { measureCasbin, measureCasl, measureCedar } from './peer-rates.ts';
import type { Figures } from './rates.ts';
import { measureSearches } from './searches.ts';
import { measureGrowth, measureRates } from './rates.ts';

const cases: Readonly<Record<string, (size: Size, peers: readonly string[]) => Promise<Figures[]>>> = {
  agreement: checkAgreement,
  rates: measureRates,
  casl: measureCasl,
  cedar: measureCedar,
  casbin: measureCasbin,
  growth: measureGrowth,
  load: measureLoad,
  heap: measureHeap,
  change: measureChange,
  searches: measureSearches,
};

const [name = '', size = '', ...peers] = process.argv.slice(2);
const measure = cases[name];
if (measure === undefined || !(size in shapes)) throw new Error(`no case ${name} of ${size}`);
console.log(JSON.stringify(await measure(size as Size, peers)));
