/** What a checker found. Nothing seen is a failure too: a checker that looks in the wrong place must not pass. */
export interface Report {
  /** How many things were looked at. */
  readonly seen: number;
  /** What they are, in the plural. */
  readonly what: string;
  /** One line each, `file:line: what is wrong and what to do`. */
  readonly problems: readonly string[];
  /** What the reader should know although nothing is wrong. */
  readonly notes?: readonly string[];
}

export function problemsOf(report: Report): readonly string[] {
  if (report.problems.length > 0 || report.seen > 0) return report.problems;
  return [`0 ${report.what} seen: the check looks in the wrong place`];
}

/** Prints a report and makes the process fail if there is a problem in it. */
export function printReport(name: string, report: Report): void {
  const problems = problemsOf(report);
  for (const line of [...problems, ...(report.notes ?? [])]) console.log(line);
  console.log(`${name}: ${report.seen} ${report.what}, ${problems.length} problems`);
  if (problems.length > 0) process.exitCode = 1;
}
