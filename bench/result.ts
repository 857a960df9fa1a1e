/** What every benchmark gives back, and how its rounds are run: floor and ours in turn, so that both meet the same noise. */

export interface BenchRow {
  readonly case: string;
  /** One figure a round, in the unit of the result. */
  readonly ours: readonly number[];
  readonly floor: readonly number[];
  /** The median of ours ÷ floor, round by round: above 1 is better for a rate, worse for a time. */
  readonly ratioMedian: number;
  readonly aim?: string;
}

export interface BenchResult {
  readonly name: string;
  readonly unit: string;
  readonly rows: readonly BenchRow[];
  /** Cases that say nothing because their floor varied too much, with the reason. */
  readonly void: readonly string[];
}

/** Parts of a benchmark, where it has any. */
export interface BenchOptions {
  readonly size?: string | undefined;
  readonly case?: string | undefined;
}

/** One measured round; gives the figure in the unit of the result. */
export type Candidate = () => number | Promise<number>;

/** Above this the machine was busy with something else. */
const maximumFloorSpread = 2;

/** Runs each candidate once a round, in changing order, after `warmups` rounds that do not count. */
export async function interleave<Name extends string, Figure = number>(
  { rounds, warmups = 1, candidates }:
  { readonly rounds: number; readonly warmups?: number; readonly candidates: Readonly<Record<Name, () => Figure | Promise<Figure>>> },
): Promise<Record<Name, Figure[]>> {
  const names = Object.keys(candidates) as Name[];
  const figures = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Figure[]>;
  for (let round = -warmups; round < rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const figure = await candidates[name]();
      if (round >= 0) figures[name].push(figure);
    }
  }
  return figures;
}

/** One case: floor and ours interleaved, compared round by round. */
export async function compare(
  { rounds, aim, ours, floor, ...row }:
  { readonly case: string; readonly rounds: number; readonly aim?: string; readonly ours: Candidate; readonly floor: Candidate },
): Promise<BenchRow> {
  const figures = await interleave({ rounds, candidates: { floor, ours } });
  return { case: row.case, ...figures, ratioMedian: median(ratios(figures)), ...(aim === undefined ? {} : { aim }) };
}

export function benchResult({ name, unit, rows }: Pick<BenchResult, 'name' | 'unit' | 'rows'>): BenchResult {
  const spreads = rows.map((row) => ({ row, spread: Math.max(...row.floor) / Math.min(...row.floor) }));
  const unsteady = spreads.filter(({ spread }) => !(spread <= maximumFloorSpread));
  return { name, unit, rows, void: unsteady.map(({ row, spread }) => `${row.case}: the floor varied ${spread.toFixed(1)}×`) };
}

/** A table for people: medians, then ours ÷ floor of every round. */
export function formatResult({ name, unit, rows, void: voids }: BenchResult): string {
  const cells = rows.map((row) => [
    row.case,
    figure(median(row.ours)),
    figure(median(row.floor)),
    `${row.ratioMedian.toFixed(2)}×`,
    ratios(row).map((ratio) => ratio.toFixed(2)).join(' '),
    row.aim ?? '',
  ]);
  const table = [['case', 'ours', 'floor', 'median', 'by round', 'aim'], ...cells];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((line) => line[column]!.length)));
  const lines = table.map((line) => line.map((cell, column) => cell.padEnd(widths[column]!)).join('  ').trimEnd());
  return [`${name} (${unit})`, ...lines, ...voids.map((reason) => `void: ${reason}`)].join('\n');
}

/** What a benchmark file does when it is the program (`import.meta.main`). A void run is a failed one. */
export async function runAndPrint(run: () => Promise<BenchResult>): Promise<void> {
  const result = await run();
  console.log(formatResult(result));
  if (result.void.length > 0) process.exitCode = 1;
}

/** Seconds of processor time `work` took in this process, which a busy machine distorts less than the clock does. */
export function processorSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

export function median(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function ratios({ ours, floor }: Pick<BenchRow, 'ours' | 'floor'>): number[] {
  return ours.map((figure, round) => figure / floor[round]!);
}

function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
