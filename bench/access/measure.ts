/** One case in a process of its own, so that no world disturbs another: `measure.ts NAME ARGUMENT` prints its figures as JSON. */
import type { Size } from '../access-world.ts';
import { shapes } from '../access-world.ts';
import type { Figures } from './rates.ts';
import { measureGrowth, measureRates } from './rates.ts';

const cases: Readonly<Record<string, (size: Size) => Promise<Figures[]>>> = {
  rates: measureRates,
  growth: measureGrowth,
};

const [name = '', size = ''] = process.argv.slice(2);
const measure = cases[name];
if (measure === undefined || !(size in shapes)) throw new Error(`no case ${name} of ${size}`);
console.log(JSON.stringify(await measure(size as Size)));
